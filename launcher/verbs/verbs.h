// The verbs, one file each.
#pragma once

#include "launcher/verb.h"

namespace dbps::launcher {

void add_train(CLI::App& app, Context& context);
void add_eval(CLI::App& app, Context& context);
void add_predict(CLI::App& app, Context& context);
void add_explain(CLI::App& app, Context& context);
void add_export(CLI::App& app, Context& context);
void add_extract(CLI::App& app, Context& context);
void add_checkpoints(CLI::App& app, Context& context);
void add_report(CLI::App& app, Context& context);
void add_bench(CLI::App& app, Context& context);
void add_ingest(CLI::App& app, Context& context);
void add_inspect(CLI::App& app, Context& context);
void add_verify(CLI::App& app, Context& context);
void add_split(CLI::App& app, Context& context);
void add_make_demo(CLI::App& app, Context& context);
void add_doctor(CLI::App& app, Context& context);
void add_completion(CLI::App& app, Context& context);

}  // namespace dbps::launcher
