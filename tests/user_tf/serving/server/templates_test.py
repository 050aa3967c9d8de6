"""The templates of a server's configuration have the fields of its protos, and name each other."""

import pathlib
import re

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from tensorflow_serving.config import model_server_config_pb2

CONFIGS = pathlib.Path(__file__).parents[4] / "configs" / "serving"
INT64, BOOL, STRING, MESSAGE = 3, 8, 9, 11
# The messages of TensorFlow Serving that its Python package lacks, as documented.
MESSAGES = {
    "Value": {"value": INT64},
    "Batching": {
        "max_batch_size": "Value",
        "batch_timeout_micros": "Value",
        "max_enqueued_batches": "Value",
        "num_batch_threads": "Value",
        "pad_variable_length_inputs": BOOL,
    },
    "Prometheus": {"enable": BOOL, "path": STRING},
    "Monitoring": {"prometheus_config": "Prometheus"},
}


@pytest.fixture(scope="module")
def parse():
    """Return a function that reads a template as a message."""
    file = descriptor_pb2.FileDescriptorProto(name="templates.proto", package="templates")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), start=1):
            added = message.field.add(name=field, number=number, label=1)
            if isinstance(kind, str):
                added.type, added.type_name = MESSAGE, f".templates.{kind}"
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)

    def read(name, message):
        found = pool.FindMessageTypeByName(f"templates.{message}")
        return text_format.Parse(
            (CONFIGS / name).read_text("utf-8"), message_factory.GetMessageClass(found)()
        )

    return read


def test_two_versions_have_labels():
    text = (CONFIGS / "models.config").read_text("utf-8")
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (model,) = config.model_config_list.config
    served = set(model.model_version_policy.specific.versions)
    assert dict(model.version_labels) == {"stable": 1, "canary": 2} and served == {1, 2}


def test_batching_pads_and_has_a_bounded_queue(parse):
    batching = parse("batching.config", "Batching")
    assert batching.pad_variable_length_inputs and batching.max_enqueued_batches.value > 0


def test_monitoring_is_where_prometheus_looks(parse):
    path = parse("monitoring.config", "Monitoring").prometheus_config.path
    (job,) = yaml.safe_load((CONFIGS / "prometheus.yml").read_text())["scrape_configs"]
    assert job["metrics_path"] == path
    services = yaml.safe_load((CONFIGS / "compose.yaml").read_text())["services"]
    assert job["static_configs"][0]["targets"][0].split(":")[0] in services


def test_the_compose_file_mounts_what_its_flags_name():
    serving = yaml.safe_load((CONFIGS / "compose.yaml").read_text())["services"]["serving"]
    assert {volume.rsplit(":", 2)[1] for volume in serving["volumes"]} == {
        "/models/user",
        "/config",
    }
    named = [flag.split("=/config/")[1] for flag in serving["command"] if "=/config/" in flag]
    assert sorted(named) == ["batching.config", "models.config", "monitoring.config"]
    assert all((CONFIGS / name).exists() for name in named)


def test_every_setting_has_its_reason():
    for name in ("batching.config", "models.config", "monitoring.config"):
        lines = (CONFIGS / name).read_text("utf-8").splitlines()
        for number, line in enumerate(lines):
            if re.match(r"\s*(\w+:|\w+ \{ \w+: )", line) and "model_platform" not in line:
                before = lines[number - 1].strip()
                assert "#" in line or before.startswith(("#", "version_labels")), line
