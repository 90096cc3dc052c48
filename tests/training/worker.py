"""One of several workers: prints the losses of a few steps as JSON, a line per strategy.

Called by test_workers.py.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

from tfyolo.data.detection.pipeline import Pipeline, PipelineOptions
from tfyolo.data.detection.scan import read_dataset, scan_split
from tfyolo.data.segmentation.options import MaskOptions
from tfyolo.models import load_spec
from tfyolo.training.detection.hyps import Hyps
from tfyolo.training.detection.initialization import build_training_model, plan_initial_weights
from tfyolo.training.loop import run_epochs
from tfyolo.training.strategies import open_strategy


class Record(keras.callbacks.Callback):
    """Keeps the losses of every batch."""

    def __init__(self):
        super().__init__()
        self.losses = []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append([logs[name] for name in self.model.loss_names])


def main(data, config, *strategies):
    if "two-devices" in strategies:  # the CPU is treated as two
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    for name in strategies:
        train(data, config, name)


def train(data, config, strategy_name):
    if strategy_name == "two-devices":
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    else:
        strategy = open_strategy(strategy_name) or tf.distribute.get_strategy()
    keras.utils.set_random_seed(0)
    dataset = read_dataset(data)
    samples = scan_split(dataset, "train", cache=False).samples
    masks = MaskOptions() if load_spec(config).task == "segment" else None
    options = PipelineOptions(image_size=64, batch=8, masks=masks)
    pipeline = Pipeline(samples, Hyps().augmentation(), options)
    record = Record()
    with strategy.scope():
        start = plan_initial_weights("", config, dataset.names, 64, task=None)
        model = build_training_model(start, 64, synchronized_bn=True)
        hyps = Hyps(warmup_epochs=0.0)
        model.compile(
            epochs=1, steps_per_epoch=pipeline.steps_per_epoch, batch_size=8, hyps=hyps, nominal_batch=8
        )
        run_epochs(model, pipeline, 1, callbacks=[record])
    weights = [float(np.abs(weight).sum()) for weight in model.averaged.get_weights()]
    print(json.dumps({"losses": record.losses, "weights": weights}), flush=True)


main(*sys.argv[1:])
