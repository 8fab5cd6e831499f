# Builds a file's bytes into a program, so that it finds them after installation, too: writes a C++
# source that defines dbps::ingest::SYMBOL (an array) and SYMBOL_size, and hands its path back in OUTPUT.
function(dbps_embed OUTPUT SYMBOL FILE)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${FILE}")
  file(READ "${FILE}" bytes HEX)
  string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  set(source "${CMAKE_CURRENT_BINARY_DIR}/${SYMBOL}.cpp")
  file(CONFIGURE OUTPUT "${source}" @ONLY CONTENT [[
namespace dbps::ingest {
extern const unsigned char @SYMBOL@[];
extern const unsigned long @SYMBOL@_size;
const unsigned char @SYMBOL@[] = {
@bytes@};
const unsigned long @SYMBOL@_size = sizeof(@SYMBOL@);
}  // namespace dbps::ingest
]])
  set(${OUTPUT} "${source}" PARENT_SCOPE)
endfunction()

dbps_embed(DEMO_DIGITS_SOURCE demo_digits_bytes "${CMAKE_SOURCE_DIR}/datasets/demo/digits.bin")
