# The article's image. To build the static tools in dist/ first: cargo xtask dist
ARG BASE=ubuntu:22.04
FROM ${BASE}
# First, so that the intermediate images of a builder have the label too.
LABEL shm.experiment.image="tools"
# Not used: builders print it just before the error that dist/shm_wr is missing.
ARG IF_DIST_IS_MISSING="run: cargo xtask dist"
COPY dist/shm_wr dist/shm_rd dist/shm_ls /bin/
# The base may set an entry point; the tools must run by name.
ENTRYPOINT []
# Cheap, ends at once on SIGTERM, and logs each change of a segment.
CMD ["/bin/shm_ls", "--watch"]
