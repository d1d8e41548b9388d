# The article's image. First put the static tools into dist/: cargo xtask dist
ARG BASE=ubuntu:22.04
FROM ${BASE}
# First, so that what a builder keeps of the steps in between carries it too.
LABEL shm.experiment.image="tools"
# Not used: builders print it right before they say that dist/shm_wr is not there.
ARG IF_DIST_IS_MISSING="run: cargo xtask dist"
COPY dist/shm_wr dist/shm_rd dist/shm_ls /bin/
# Whatever the base runs, the tools are run by name.
ENTRYPOINT []
# Something to run that costs nothing, ends at once on SIGTERM, and logs what happens.
CMD ["/bin/shm_ls", "--watch"]
