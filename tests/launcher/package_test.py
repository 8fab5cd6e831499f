"""What is installed and bundled runs from where it is put: package_test.py SOURCE BUILD"""

import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE, BUILD = map(pathlib.Path, sys.argv[1:3])
del sys.argv[1:3]

# No variable of this shell may be what makes it work.
BARE = {"PATH": "/usr/bin:/bin"}


def run(*command, **environment):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=200,
                          env=dict(BARE, **environment), cwd="/")


@functools.cache
def libtorch():
    """The LibTorch of the build, told by an installation of it."""
    with tempfile.TemporaryDirectory() as folder:
        install(folder)
        return (pathlib.Path(folder) / "libexec/dbps/libtorch").read_text().strip()


def install(folder):
    subprocess.run(["cmake", "--install", BUILD, "--prefix", folder], check=True,
                   capture_output=True, timeout=200)


def only(folder, *names):
    """A folder for PATH with these programs and no others."""
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(shutil.which(name))
    return folder


class Setup(unittest.TestCase):
    def test_names_what_is_missing_where_nothing_can_be_installed(self):
        with tempfile.TemporaryDirectory() as folder:
            tools = only(pathlib.Path(folder) / "tools", "bash", "dirname", "readlink", "sed", "tr",
                         "sort", "head", "python3")
            (tools / "cmake").write_text("#!/bin/sh\necho cmake version 3.16.3\n")
            (tools / "cmake").chmod(0o755)
            done = run(tools / "bash", SOURCE / "launcher/setup", "--prefix", folder,
                       PATH=str(tools))
        self.assertEqual(done.returncode, 70, done.stderr)
        for fault in ("c++: missing", "cmake: older than 3.25", "ninja: missing",
                      "mpirun: missing"):
            self.assertIn(f"  {fault}; ", done.stderr)
        self.assertNotIn("python3: ", done.stderr)
        self.assertRegex(done.stderr.splitlines()[-1], r"^error: \d+ things are missing")


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="dbps-installed-"))
        install(cls.folder)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def test_doctor(self):
        done = run(self.folder / "bin/dbps", "doctor", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(json.loads(done.stdout)["libtorch"]["value"])

    def test_a_folder_that_is_no_libtorch_is_refused_by_name(self):
        done = run(self.folder / "bin/dbps", "--version", Torch_DIR=self.folder)
        self.assertEqual(done.returncode, 70)
        self.assertEqual(len(done.stderr.splitlines()), 1)
        self.assertIn(f"Torch_DIR={self.folder}", done.stderr)

    def test_another_version_of_libtorch_is_refused(self):
        other = self.folder / "torch"
        (other / "lib").mkdir(parents=True)
        for name in ("libtorch_cpu.so", "libtorch_cuda.so"):
            (other / "lib" / name).touch()
        (other / "version.py").write_text("__version__ = '1.13.1'\n")
        done = run(self.folder / "bin/dbps", "--version", Torch_DIR=other)
        self.assertEqual(done.returncode, 70)
        self.assertIn("it is version 1.13", done.stderr)

    def test_launcher_and_completion(self):
        started = run(self.folder / "bin/dbps-mpirun", "-n", "2", "echo", "here", HOME="/tmp")
        self.assertEqual(started.stdout.split(), ["here", "here"], started.stderr)
        script = self.folder / "share/bash-completion/completions/dbps"
        self.assertIn("complete ", script.read_text())
        self.assertTrue(list((self.folder / "share/dbps/configs").glob("*.toml")))


class Bundle(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="dbps-bundle-"))
        made = run(SOURCE / "launcher/bundle", cls.folder / "made", PATH=os.environ["PATH"],
                   DBPS_BUILD=BUILD)
        assert made.returncode == 0, made.stderr
        cls.bundle = cls.folder / "moved" / "bundle"
        cls.bundle.parent.mkdir()
        (cls.folder / "made").rename(cls.bundle)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def test_starts_after_a_move_with_nothing_but_libtorch(self):
        done = run(self.bundle / "bin/dbps", "doctor", "--json", Torch_DIR=libtorch())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(json.loads(done.stdout)["mpi"]["value"])

    def test_starts_ranks_with_its_own_open_mpi(self):
        script = 'readlink /proc/$PPID/exe; echo "$OPAL_PREFIX"'
        done = run(self.bundle / "bin/dbps-mpirun", "-n", "2", "sh", "-c", script, HOME="/tmp")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.stdout.splitlines()), 4)
        for line in done.stdout.splitlines():
            self.assertTrue(line.startswith(str(self.bundle / "openmpi")), line)

    def test_starts_ranks_where_there_is_no_ssh(self):
        tools = only(self.folder / "tools", "sh", "bash", "basename", "cat", "dirname", "id",
                     "readlink", "sed", "setpriv", "setsid", "sleep")
        done = run(self.bundle / "bin/dbps-mpirun", "-n", "2", "sh", "-c", "echo here",
                   PATH=str(tools), HOME="/tmp")
        self.assertEqual(done.stdout.split(), ["here", "here"], done.stderr)

    def test_every_library_comes_from_the_bundle_or_glibc_or_libtorch(self):
        torch = pathlib.Path(libtorch())
        # glibc's own, which every machine has.
        system = ("linux-vdso", "ld-linux", "libc.", "libm.", "libpthread.", "librt.", "libdl.",
                  "libutil.", "libresolv.", "libmvec.", "libanl.")
        files = [path for path in self.bundle.rglob("*") if path.is_file()
                 and not path.is_symlink() and path.read_bytes()[:4] == b"\x7fELF"]
        self.assertGreater(len(files), 50)
        environment = {"LD_LIBRARY_PATH": ":".join(
            map(str, [torch / "lib", *torch.parent.glob("nvidia/*/lib")]))}
        for line in run("ldd", *files, **environment).stdout.splitlines():
            if " => " not in line:
                continue
            name, path = line.strip().split(" => ")
            if not name.startswith(system):
                self.assertTrue(path.startswith((str(self.bundle), str(torch.parent))), line)

    def test_size(self):
        size = sum(path.lstat().st_size for path in self.bundle.rglob("*"))
        self.assertLess(size, 60e6)


if __name__ == "__main__":
    unittest.main()
