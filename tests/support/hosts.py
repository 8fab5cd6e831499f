"""Hosts on one machine: namespaces of their own on one network. Needs root; leaves nothing behind.

A host has its own name (h1, h2 ...), address (10.77.0.1 ...), processes, /tmp and /run; every other
folder is one that the hosts share, as on a cluster. Killing its first process ends all it runs and
takes its network with it.
"""

import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
NETWORK = "10.77.0"
NAMESPACES = ("--net", "--uts", "--mount", "--pid")


def need(what_for, programs):
    """Ends the test with one line unless it may make hosts and finds the programs."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [f"{name} ({package})" for name, package in programs.items()
               if shutil.which(name, path=path) is None]
    if missing:
        sys.exit(f"error: {what_for} needs {', '.join(missing)}; install them, or leave these tests "
                 f"out: ./launcher/test without --label")
    tried = subprocess.run(["unshare", *NAMESPACES, "--fork", "true"], capture_output=True)
    if os.geteuid() != 0 or tried.returncode != 0:
        sys.exit(f"error: {what_for} needs root and the right to make namespaces; leave these tests "
                 f"out: ./launcher/test without --label")
    os.environ["PATH"] = path


def wait_until(condition, seconds, what, step=0.05):
    """condition()'s first true value; fails after so many seconds."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(step)
    return value


def unshared(script):
    """A first process of new namespaces, once its script is through: (unshare, its process id)."""
    # They end with this test, however that ends. Nobody else waits for orphans there.
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "unshare", *NAMESPACES, "--fork", "--kill-child",
         "--mount-proc", "sh", "-ec",
         f"{script}\ntrap '' CHLD\necho ready\nexec sleep infinity"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if process.stdout.readline() != "ready\n":
        raise AssertionError(f"no host: {process.communicate()[1]}{script}")
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return process, int(children.split()[0])


def ip(*words):
    subprocess.run(["ip", *words], check=True)


class Hosts:
    def __init__(self, count=2):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dbps-hosts-"))  # shared by the hosts
        self.started = []  # (unshare, its child)
        self.hosts = {}    # name: process id of the host's first process
        try:
            self._make_network(count)
        except BaseException:
            self.close()
            raise

    def close(self):
        """Every process of every host is gone afterwards."""
        for process, first in self.started:
            os.kill(first, signal.SIGKILL)
            process.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _make_network(self, count):
        names = [f"h{i + 1}" for i in range(count)]
        self.address = {name: f"{NETWORK}.{i + 1}" for i, name in enumerate(names)}
        (self.folder / "hosts").write_text("127.0.0.1 localhost\n" + "".join(
            f"{address} {name}\n" for name, address in self.address.items()))
        self.started.append(unshared("ip link add switch type bridge && ip link set switch up"))
        self.switch = self.started[-1][1]
        for name in names:
            self.started.append(unshared(self._host_script(name)))
            self.hosts[name] = self.started[-1][1]
            ip("link", "add", "eth0", "netns", str(self.hosts[name]), "type", "veth",
               "peer", "name", name, "netns", str(self.switch))
            self.on_switch("ip", "link", "set", name, "master", "switch", "up")
            self.run(name, "ip", "address", "add", f"{self.address[name]}/24", "dev", "eth0")
            for link in ("lo", "eth0"):
                self.run(name, "ip", "link", "set", link, "up")

    def _host_script(self, name):
        own = self.folder / name / "tmp"
        own.mkdir(parents=True)
        own.chmod(0o1777)
        lines = [f"hostname {name}", f"mount --bind {self.folder}/hosts /etc/hosts",
                 "mount -t tmpfs tmpfs /run"]
        for shared in (self.folder, ROOT):  # what lies in /tmp and is shared stays visible
            if shared.is_relative_to("/tmp"):
                place = shlex.quote(str(own / shared.relative_to("/tmp")))
                lines += [f"mkdir -p {place}", f"mount --bind {shlex.quote(str(shared))} {place}"]
        lines.append(f"mount --rbind {own} /tmp")
        return "\n".join(lines)

    def on_switch(self, *command):
        subprocess.run(["nsenter", "--target", str(self.switch), "--net", *command], check=True)

    def inside(self, name):
        """What to put before a command so that it runs on that host."""
        return ["nsenter", "--target", str(self.hosts[name]), *NAMESPACES]

    def run(self, name, *command, check=True, timeout=60, **more):
        """The command on that host, done: subprocess.run with its output as text."""
        done = subprocess.run([*self.inside(name), *map(str, command)], capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, timeout=timeout, **more)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command))} on {name}: {done.returncode}\n"
                                 f"{done.stdout}{done.stderr}")
        return done

    def start(self, name, *command, **more):
        """The same, not waited for; ends with the host at the latest."""
        return subprocess.Popen([*self.inside(name), *map(str, command)], text=True,
                                stdin=subprocess.DEVNULL, **more)

    def processes(self, name, having):
        """Command lines of that host's living processes that contain a text."""
        listed = self.run(name, "ps", "-e", "-o", "stat=,args=").stdout.splitlines()
        return [line for line in listed
                if having in line and not line.startswith("Z") and " ps -e " not in line]

    def cut(self, name):
        """Nothing reaches that host any more, and nothing leaves it."""
        self.on_switch("ip", "link", "set", name, "down")

    def mend(self, name):
        self.on_switch("ip", "link", "set", name, "up")

    def bytes_sent(self, name):
        """By that host over the wire, headers included."""
        shown = self.run(name, "ip", "-s", "-json", "link", "show", "eth0").stdout
        return json.loads(shown)[0]["stats64"]["tx"]["bytes"]

    def serve_ssh(self):
        """Starts an sshd on each host; returns the command that reaches it without questions."""
        key = self.folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        for name in self.hosts:
            config = self.folder / name / "sshd_config"
            config.write_text(f"HostKey {key}\nAuthorizedKeysFile {key}.pub\nStrictModes no\n"
                              "PermitRootLogin prohibit-password\nUsePAM no\nPidFile none\n")
            self.run(name, "mkdir", "-p", "/run/sshd")
            self.run(name, shutil.which("sshd"), "-f", config)
        options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null",
                   "LogLevel=ERROR", "ConnectTimeout=10")
        return " ".join(["ssh", "-F", "none", "-i", str(key), *(f"-o {o}" for o in options)])
