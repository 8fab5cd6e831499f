"""A real Slurm over the test's hosts: munged and slurmd on each, slurmctld on the first."""

import os

from hosts import ROOT, Hosts, wait_until

NEEDS = {"slurmctld": "slurm-wlm", "slurmd": "slurm-wlm", "sbatch": "slurm-wlm",
         "munged": "munge", "ip": "iproute2", "mpirun": "openmpi-bin"}

# Two pretended GPUs and eight cores a node, so that the templates run as they are. A job that was
# queued again may start after cred_expire seconds.
CONFIGURATION = """
ClusterName=test
SlurmctldHost=h1(10.77.0.1)
SlurmUser=root
AuthInfo=cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n/spool
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n/slurmd.log
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,batch_sched_delay=1
MailProg=/bin/true
GresTypes=gpu
NodeName=h[1-2] CPUs=8 Gres=gpu:2
PartitionName=all Nodes=ALL Default=YES
"""
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")


class Cluster:
    def __init__(self):
        self.hosts = Hosts()
        self.folder = self.hosts.folder
        self.environment = {"SLURM_CONF": str(self.folder / "slurm.conf")}
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def close(self):
        self.hosts.close()

    def _start(self):
        (self.folder / "state").mkdir()
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(folder=self.folder))
        (self.folder / "gres.conf").write_text("".join(
            f"NodeName=h[1-2] Name=gpu File=/dev/{device}\n" for device in ("null", "zero")))
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        for name in self.hosts.hosts:
            own = self.folder / name
            (own / "spool").mkdir()
            self.on(name, "mkdir", "-p", "/run/munge")
            self.on(name, "munged", "--force", f"--key-file={key}",
                    "--pid-file=/run/munge/munged.pid", f"--log-file={own}/munged.log",
                    f"--seed-file={own}/munged.seed")
        self.on("h1", "slurmctld")
        for name in self.hosts.hosts:
            self.on(name, "slurmd", "-N", name)
        wait_until(lambda: self.on("h1", "sinfo", "-h", "-o", "%T %D").stdout == "idle 2\n", 60,
                   "both nodes idle")

    def on(self, name, *command, more=None):
        environment = dict(os.environ, **self.environment, **(more or {}))
        return self.hosts.run(name, *command, env=environment)

    def submit(self, *words, more=None):
        """sbatch from the clone with these words: the job's name."""
        return self.on("h1", "env", f"--chdir={ROOT}", "sbatch", "--parsable", *words,
                       more=more).stdout.strip()

    def show(self, job):
        """The fields of scontrol show job."""
        shown = self.on("h1", "scontrol", "show", "job", "--oneliner", job).stdout.split()
        return dict(field.split("=", 1) for field in shown if "=" in field)

    def wait_for(self, job, state, seconds):
        """Waits until the job is in that state; fails at once if it has ended in another."""
        def there():
            now = self.show(job)["JobState"]
            if now in ENDED and now != state:
                raise AssertionError(f"job {job} is {now}")
            return now == state
        wait_until(there, seconds, f"job {job} is {state}", step=0.2)
