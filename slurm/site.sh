# What differs from site to site; sourced by the batch scripts. Uncomment what applies here.
# shellcheck shell=bash disable=SC2034

# module load gcc openmpi hdf5
# export DBPS_DEPS=$HOME/dbps-deps          # one LibTorch for several clones
# container=(apptainer exec --nv dbps.sif)  # put before the program

# How ranks are started: one a task. Ranks that are told to stop leave within moments of each other,
# and --kill-on-bad-exit=1 may kill the last of them; --wait ends what is left when one has died.
launch=(srun --mpi=pmix --kill-on-bad-exit=0 --wait=60)
# launch=("$DBPS_ROOT/launcher/mpirun")     # where srun and this MPI do not know each other
