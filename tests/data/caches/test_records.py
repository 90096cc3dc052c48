"""Images inside TFRecord files: the pipeline sees what it sees in files of their own."""

import numpy as np
import pytest

from tfyolo.cli.main import main
from tfyolo.data import synthetic as datasets
from tfyolo.data.augment.options import AugmentationOptions
from tfyolo.data.caches.records import record_places
from tfyolo.data.detection.pipeline import Pipeline, PipelineOptions
from tfyolo.data.detection.scan import read_dataset, scan_split
from tfyolo.errors import TfyoloError


@pytest.fixture
def both(tmp_path, capsys):
    """Samples in files, and the same in three shards."""
    files = datasets.create_shapes_dataset(tmp_path / "files", train=7, val=1, image_size=64)
    words = ("--data", str(files), "--to", "tfrecord", "--output", str(tmp_path / "records"), "--shards", "3")
    assert main(("convert-dataset", *words)) == 0
    capsys.readouterr()
    records = tmp_path / "records/records.yaml"
    return tuple(scan_split(read_dataset(path), "train").samples for path in (files, records))


def test_batches_of_records_are_those_of_files(both):
    options = PipelineOptions(image_size=64, batch=4)
    streams = [Pipeline(samples, AugmentationOptions(), options).stream(0, 2) for samples in both]
    count = 0
    for (a, b), (c, d) in zip(*streams, strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)
        count += 1
    assert count == 4


def test_places_lead_to_the_images(both):
    for sample, (start, inner, length) in zip(both[1], record_places(both[1]), strict=True):
        data = sample.image.read_bytes()[start + 12 :]
        assert data[inner : inner + 8] in (b"\x89PNG\r\n\x1a\n",) or data[inner : inner + 2] == b"\xff\xd8"
        assert (start + 12 + inner, length) == sample.span


def test_a_shard_that_was_cut_since_the_scan_is_named(both):
    shard = both[1][0].image
    shard.write_bytes(shard.read_bytes()[:-5])
    with pytest.raises(TfyoloError, match="is not a complete TFRecord file"):
        record_places(both[1])
