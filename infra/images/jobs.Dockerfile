# What stages run in: Ray, PyTorch, DeepSpeed and our code. One file for two variants:
#
#   docker buildx build --file infra/images/jobs.Dockerfile --build-arg PYTHON_IMAGE=python:3.13-slim@sha256:... .
#   docker buildx build ... --build-arg VARIANT=cpu --build-arg TORCH_INDEX=URL .
#
# cuda  PyTorch's usual wheels, which bring CUDA's libraries with them: the base needs none, the node only its driver.
# cpu   several gigabytes less. PyTorch publishes its CPU wheels in an index of its own, which TORCH_INDEX names; they are
#       installed at the versions of the lock, but the lock does not know their hashes.
#
# PYTHON_IMAGE: see operator.Dockerfile. Debian-based, for manylinux wheels and for the bash that KubeRay starts Ray with.
ARG PYTHON_IMAGE
ARG VARIANT=cuda

FROM ${PYTHON_IMAGE} AS build
ARG PYTHON_IMAGE
RUN case "${PYTHON_IMAGE}" in *@sha256:*) ;; *) echo "PYTHON_IMAGE must hold a digest: NAME@sha256:..." >&2; exit 1 ;; esac
COPY crds/chex_api /chex/chex_api
COPY jobs/chex_jobs /chex/chex_jobs
COPY LICENSE /chex/LICENSE
COPY pyproject.toml infra/images/write_metadata.py infra/images/requirements-jobs.lock infra/images/requirements-jobs-cpu.lock /build/
RUN python /build/write_metadata.py /build/pyproject.toml /chex \
    && python -m compileall -q --invalidation-mode unchecked-hash /chex
# DeepSpeed comes as source. Its build would fetch the newest setuptools, whatever its hash; instead it finds the lock's, which this
# installs beside pip, where it goes no further. Everything else has wheels, and whatever has none is refused.
RUN awk '/^setuptools==/ {found = 1} found {print} found && !/\\$/ {exit}' /build/requirements-jobs.lock > /build/requirements-build.lock \
    && python -m pip install --no-cache-dir --disable-pip-version-check --no-deps \
        --require-hashes --only-binary=:all: --requirement /build/requirements-build.lock
# Into a prefix that becomes /usr/local: a login shell, which KubeRay can be told to use, would forget another PATH. What the
# base has already counts for nothing. pip compiles as it installs: a Pod would do so again at each start.
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PREFIX=/install PIP_IGNORE_INSTALLED=1 PIP_NO_DEPS=1

FROM build AS with-cuda
RUN python -m pip install --require-hashes --no-build-isolation --only-binary=:all: --no-binary=deepspeed \
    --requirement /build/requirements-jobs.lock

FROM build AS with-cpu
ARG TORCH_INDEX
RUN python -m pip install --require-hashes --no-build-isolation --only-binary=:all: --no-binary=deepspeed \
    --requirement /build/requirements-jobs-cpu.lock
RUN test -n "${TORCH_INDEX}" || { echo "VARIANT=cpu needs TORCH_INDEX, the index of PyTorch's CPU wheels" >&2; exit 1; }; \
    sed -nE 's/^(torch(vision)?==[^ ]+) .*/\1/p' /build/requirements-jobs.lock > /build/torch.txt \
    && python -m pip install --only-binary=:all: --index-url "${TORCH_INDEX}" --requirement /build/torch.txt

FROM with-${VARIANT} AS installed

FROM ${PYTHON_IMAGE}
COPY --from=installed /install /usr/local
COPY --from=installed /chex /chex
# No model hub is asked and nothing is reported; without a GPU DeepSpeed needs to be told so by DS_ACCELERATOR, which the code does.
ENV PYTHONPATH=/chex PYTHONUNBUFFERED=1 HOME=/home/chex \
    HF_HUB_OFFLINE=1 RAY_USAGE_STATS_ENABLED=0 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
# The user that the operator's Pods run as, with a name and a home: getpass and Ray ask for both.
RUN groupadd --gid 1000 chex && useradd --uid 1000 --gid 1000 --create-home --home-dir /home/chex --shell /usr/sbin/nologin chex
USER 1000:1000
WORKDIR /home/chex
ENTRYPOINT []
CMD ["python", "-m", "chex_jobs.cli", "--help"]
