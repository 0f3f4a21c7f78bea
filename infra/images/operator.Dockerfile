# The operator: Python, sixteen packages and our code. No shell script, no compiler, no torch.
#
#   docker buildx build --file infra/images/operator.Dockerfile --build-arg PYTHON_IMAGE=python:3.13-slim@sha256:... .
#
# PYTHON_IMAGE has no default on purpose. It is given by digest, so that two builds of one commit are of the same base, and so
# that whoever builds decides when security fixes of the base come in. `docker buildx imagetools inspect python:3.13-slim` prints
# today's digest.
ARG PYTHON_IMAGE

FROM ${PYTHON_IMAGE} AS build
ARG PYTHON_IMAGE
RUN case "${PYTHON_IMAGE}" in *@sha256:*) ;; *) echo "PYTHON_IMAGE must hold a digest: NAME@sha256:..." >&2; exit 1 ;; esac
COPY infra/images/requirements-operator.lock /build/requirements.lock
RUN python -m pip install --no-cache-dir --disable-pip-version-check --no-compile \
    --require-hashes --only-binary=:all: --no-deps --requirement /build/requirements.lock --target /chex
COPY crds/chex_api /chex/chex_api
COPY operator/chex_operator /chex/chex_operator
COPY LICENSE /chex/LICENSE
COPY pyproject.toml infra/images/write_metadata.py /build/
RUN python /build/write_metadata.py /build/pyproject.toml /chex
# Compiled here, because nothing can write beside the sources later. Checked hashes would read every source at each start.
RUN python -m compileall -q --invalidation-mode unchecked-hash /chex \
    && PYTHONPATH=/chex python -m chex_operator --help > /dev/null

FROM ${PYTHON_IMAGE}
ENV PYTHONPATH=/chex PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=build /chex /chex
# A number: kubelet cannot tell whether a name is root's.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["python", "-m", "chex_operator"]
