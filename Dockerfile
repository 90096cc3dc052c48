# tfyolo on a CPU: train, quantize, export, run.
#
#   make wheel && docker build -t tfyolo .
#   docker run --rm -v "$PWD:/work" tfyolo detect --source bccd-mini
FROM python:3.12-slim
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 TF_CPP_MIN_LOG_LEVEL=3
COPY constraints/python3.12.txt dist/tfyolo-*.whl /tmp/tfyolo/
RUN pip install --constraint /tmp/tfyolo/python3.12.txt "$(ls /tmp/tfyolo/*.whl)[tensorflow]"
WORKDIR /work
ENTRYPOINT ["tfyolo"]
CMD ["--help"]
