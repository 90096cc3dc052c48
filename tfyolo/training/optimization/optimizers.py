"""SGD, Adam and AdamW with YOLOv5's three groups of weights, accumulation and clipping in one update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfyolo.errors import TfyoloError
from tfyolo.training.optimization.schedule import ScheduleValues

MAX_GRADIENT_NORM = 10.0
_BETA_2, _EPSILON = 0.999, 1e-8


class Coefficients(NamedTuple):
    """Scalars of an update. While gradients are accumulated, they leave weights and slots as they are.

    Attributes:
        clip: factor of the gradient, for clipping; 0 without an update.
        momentum: momentum of SGD or beta 1 of Adam; 1 without an update.
        beta_2: beta 2 of Adam; 1 without an update.
        decay: weight decay of kernels; 0 without an update.
        beta_1_power: beta 1 to the power of the number of updates, which corrects the bias of the mean.
        beta_2_power: the same of beta 2, for the mean square.
        epsilon: epsilon of Adam, for TensorFlow, which adds it to the root of the mean square before the
            correction of its bias.
        changed: 1 with an update, else 0.
    """

    clip: Any
    momentum: Any
    beta_2: Any
    decay: Any
    beta_1_power: Any
    beta_2_power: Any
    epsilon: Any
    changed: Any

    @classmethod
    def of(cls, due: Any, momentum: Any, decay: float, count: Any, norm: Any) -> Coefficients:
        """Compute the scalars.

        Args:
            due: bool scalar, whether the weights are updated.
            momentum: momentum of SGD or beta 1 of Adam.
            decay: weight decay of kernels.
            count: number of this update, from 1.
            norm: norm of the gradients.
        """
        beta_2_power = tf.pow(_BETA_2, count)
        return cls(
            clip=tf.where(due, tf.minimum(1.0, MAX_GRADIENT_NORM / (norm + 1e-6)), 0.0),
            momentum=tf.where(due, momentum, 1.0),
            beta_2=tf.where(due, _BETA_2, 1.0),
            decay=tf.where(due, decay, 0.0),
            beta_1_power=tf.pow(momentum, count),
            beta_2_power=beta_2_power,
            epsilon=_EPSILON * tf.sqrt(1.0 - beta_2_power),
            changed=tf.cast(due, tf.float32),
        )


# One operation of TensorFlow per weight: written out, the update took longer to trace than the network.


def _sgd(weight: Any, gradient: Any, slots: list[Any], rate: Any, now: Coefficients) -> None:
    """Apply Nesterov momentum in the form of PyTorch: the learning rate is not part of the velocity.

    Source: Sutskever et al. 2013, On the importance of initialization and momentum in deep learning.
    """
    tf.raw_ops.ResourceApplyMomentum(
        var=weight.handle,
        accum=slots[0].handle,
        lr=rate,
        grad=gradient,
        momentum=now.momentum,
        use_nesterov=True,
    )


def _adam(weight: Any, gradient: Any, slots: list[Any], rate: Any, now: Coefficients) -> None:
    """Apply Adam.

    Source: Kingma and Ba 2014, Adam, algorithm 1.
    """
    tf.raw_ops.ResourceApplyAdam(
        var=weight.handle,
        m=slots[0].handle,
        v=slots[1].handle,
        beta1_power=now.beta_1_power,
        beta2_power=now.beta_2_power,
        lr=rate,
        beta1=now.momentum,
        beta2=now.beta_2,
        epsilon=now.epsilon,
        grad=gradient,
    )


@dataclass(frozen=True)
class Rule:
    """Update rule of an optimizer.

    Attributes:
        apply: function of a weight, its gradient, its slots, the learning rate and the coefficients, which
            changes the weight and the slots.
        slots: number of variables per weight, such as the velocity.
        decoupled: subtract weight decay from the weight instead of adding it to the gradient (Loshchilov and
            Hutter 2017).
        warms_momentum: whether the schedule warms up the momentum.
    """

    apply: Callable[[Any, Any, list[Any], Any, Coefficients], None]
    slots: int
    decoupled: bool
    warms_momentum: bool


RULES = {
    "SGD": Rule(_sgd, 1, decoupled=False, warms_momentum=True),
    "Adam": Rule(_adam, 2, decoupled=False, warms_momentum=False),
    "AdamW": Rule(_adam, 2, decoupled=True, warms_momentum=False),
}


class GroupedOptimizer(keras.optimizers.Optimizer):
    """SGD, Adam or AdamW with the three parameter groups of YOLOv5, gradient accumulation and clipping.

    Only kernels have weight decay; batch-norm scales and biases have none. Biases (those of batch
    normalization included) have another learning rate during the warm-up. Each step adds its gradients to
    accumulators; only every `ScheduleValues.accumulate`-th step changes weights. `Coefficients` do this
    without a condition, so that the same graph runs at every step, on several devices too.

    Args:
        rule: `SGD`, `Adam` or `AdamW`.
        learning_rate: base learning rate; if a Keras callback changes it, all rates change in proportion.
        momentum: momentum of SGD or beta 1 of Adam, after the warm-up.
        weight_decay: weight decay of kernels.
        warmup_bias_lr: learning rate of biases at the first step.

    Raises:
        TfyoloError: `rule` is none of `RULES`.
    """

    def __init__(
        self,
        rule: str = "SGD",
        learning_rate: float = 0.01,
        momentum: float = 0.937,
        weight_decay: float = 5e-4,
        warmup_bias_lr: float = 0.1,
    ) -> None:
        if rule not in RULES:
            raise TfyoloError(f"unknown optimizer `{rule}`", fix=f"use one of {', '.join(RULES)}")
        super().__init__(learning_rate=learning_rate, name=rule)
        self.first_rate = learning_rate
        self.rule, self.beta, self.warmup_bias_lr = RULES[rule], momentum, warmup_bias_lr
        self.nominal_decay = self.decay = weight_decay

    def scale_decay(self, scale: float) -> None:
        """Scale the weight decay, for batches that do not add up to the nominal batch size."""
        self.decay = self.nominal_decay * scale

    def rebuilt(self, variables: Sequence[Any]) -> GroupedOptimizer:
        """Return this optimizer for other variables; variables that both have keep their slots.

        Args:
            variables: trainable variables from now on.
        """
        if not self.built:
            self.build(variables)
            return self
        new = GroupedOptimizer(self.name, self.first_rate, self.beta, self.nominal_decay, self.warmup_bias_lr)
        new.build(variables)
        new.decay = self.decay
        new.learning_rate = float(self.learning_rate)
        places = {id(variable): index for index, variable in enumerate(self._trainable_variables)}
        for index, variable in enumerate(variables):
            if (old := places.get(id(variable))) is not None:
                new.sums[index].assign(self.sums[old])
                for slot, value in zip(new.slots[index], self.slots[old], strict=True):
                    slot.assign(value)
        new.waiting.assign(self.waiting)
        new.updates.assign(self.updates)
        return new

    def build(self, variables: Sequence[Any]) -> None:
        """Create accumulators and slots.

        Args:
            variables: trainable variables.
        """
        if self.built:
            return
        super().build(variables)
        self.sums = [self._like(variable, "sum") for variable in variables]
        self.slots = [
            [self._like(variable, f"slot{i}") for i in range(self.rule.slots)] for variable in variables
        ]
        self.waiting = self._counter("waiting")
        self.updates = self._counter("updates")

    def _like(self, variable: Any, name: str) -> Any:
        return self.add_variable_from_reference(variable, name=name)

    def _counter(self, name: str) -> Any:
        return self.add_variable((), "zeros", "float32", name=name)

    def update(self, gradients: Sequence[Any], values: ScheduleValues) -> tuple[Any, Any]:
        """Accumulate gradients, and update the weights if enough batches are accumulated.

        Args:
            gradients: gradients of the variables of `build`, summed over all replicas.
            values: values of the schedule at this step.

        Returns:
            Two float32 scalars: 1 if the weights were updated, else 0; and the norm of the accumulated
            gradients before clipping. If it is not finite (an overflow of float16), the step is skipped.
        """
        before = [tf.convert_to_tensor(total) for total in self.sums]
        totals = [total + gradient for total, gradient in zip(before, gradients, strict=True)]
        norm = tf.linalg.global_norm(totals)
        sound = tf.math.is_finite(norm)
        due = (self.waiting + 1.0 >= values.accumulate) & sound
        momentum = values.momentum if self.rule.warms_momentum else tf.constant(self.beta)
        now = Coefficients.of(due, momentum, self.decay, self.updates + 1.0, norm)
        base = tf.cast(self.learning_rate, tf.float32)
        rates = {
            "weight": base * values.factor * now.changed,
            "bias": (base * values.factor + self.warmup_rate(base, values.bias_rate)) * now.changed,
        }
        on_devices(self._apply, totals, rates, now)
        waiting = 1.0 - now.changed
        left = [tf.where(sound, total * waiting, old) for total, old in zip(totals, before, strict=True)]
        counts = [self.updates + now.changed, (self.waiting + tf.cast(sound, tf.float32)) * waiting]
        on_devices(partial(assign_all, [*self.sums, self.updates, self.waiting]), [*left, *counts])
        return now.changed, norm

    def warmup_rate(self, base: Any, share: Any) -> Any:
        """Return the learning rate that is added for biases during the warm-up.

        Args:
            base: current learning rate.
            share: `ScheduleValues.bias_rate`.
        """
        return share * self.warmup_bias_lr * (base / self.first_rate)

    def _apply(self, strategy: Any, totals: Sequence[Any], rates: dict[str, Any], now: Coefficients) -> None:
        for variable, slots, total in zip(self._trainable_variables, self.slots, totals, strict=True):
            group = group_of(variable)
            rate = rates["bias" if group == "bias" else "weight"]
            step = partial(self._apply_one, slots, group == "weight")
            strategy.extended.update(tensor_of(variable), step, args=(total, rate, *now), group=False)

    def _apply_one(
        self, slots: list[Any], decays: bool, weight: Any, total: Any, rate: Any, *coefficients: Any
    ) -> None:
        """Update one weight; called on the device of the weight."""
        now = Coefficients(*coefficients)
        gradient = tf.math.multiply_no_nan(total, now.clip)  # 0 instead of NaN without an update
        if decays and self.rule.decoupled:
            weight.assign_sub(rate * now.decay * weight)
        elif decays:
            gradient += now.decay * weight
        self.rule.apply(weight, gradient, [tensor_of(slot) for slot in slots], rate, now)


def group_of(variable: Any) -> str:
    """Return the parameter group of a variable: `weight` (with weight decay), `norm` or `bias`.

    Args:
        variable: Keras variable; layers name them `kernel`, `gamma`, `bias` and `beta`.
    """
    return {"bias": "bias", "beta": "bias", "gamma": "norm"}.get(variable.name, "weight")


def tensor_of(variable: Any) -> Any:
    """Return the `tf.Variable` of a Keras variable."""
    return getattr(variable, "value", variable)


def assign_all(variables: Sequence[Any], strategy: Any, values: Sequence[Any]) -> None:
    """Assign values to variables on every device, in the cross-replica context.

    Values are computed before, in the replica context: here they can be one per device, and no arithmetic is
    possible with them.

    Args:
        variables: Keras variables.
        strategy: the `tf.distribute` strategy.
        values: new value of each variable.
    """
    for variable, value in zip(variables, values, strict=True):
        strategy.extended.update(
            tensor_of(variable), lambda v, new: v.assign(new), args=(value,), group=False
        )


def on_devices(function: Callable[..., None], *arguments: Any) -> None:
    """Call `function(strategy, *arguments)` in the cross-replica context, which may update variables."""
    tf.__internal__.distribute.interim.maybe_merge_call(function, tf.distribute.get_strategy(), *arguments)


def find_optimizer(optimizer: Any, grouped: dict[str, float]) -> Any:
    """Return YOLOv5's optimizer of a name, or the Keras optimizer that a user passed.

    Args:
        optimizer: name in any case, or a Keras optimizer or its config.
        grouped: arguments of `GroupedOptimizer`.

    Raises:
        TfyoloError: the optimizer is unknown.
    """
    rules = {name.lower(): name for name in RULES}
    if isinstance(optimizer, str) and optimizer.lower() in rules:
        return GroupedOptimizer(rules[optimizer.lower()], **grouped)
    try:
        return keras.optimizers.get(optimizer)
    except ValueError as error:
        raise TfyoloError(
            f"unknown optimizer `{optimizer}`",
            fix=f"use one of {', '.join(RULES)}, or pass a keras.optimizers object",
        ) from error
