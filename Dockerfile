# The article's image. First put the static tools into dist/: cargo xtask dist
ARG BASE=ubuntu:22.04
FROM ${BASE}
# Nothing at dist/? Make it: cargo xtask dist
COPY dist/shm_wr dist/shm_rd dist/shm_ls /bin/
# Something to run that costs nothing, ends at once on SIGTERM, and logs what happens.
CMD ["/bin/shm_ls", "--watch"]
