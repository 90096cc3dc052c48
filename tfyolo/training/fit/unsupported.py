"""Methods of `keras.Model` that a model in training does not have: each names what to use in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.training.step import TrainingStep


class SupportedStep(TrainingStep):
    """A `TrainingStep` whose inherited methods work or say what does."""

    def test_step(self, data: Any) -> Any:
        """Refuse Keras' `test_on_batch`: mAP is computed over all images.

        Raises:
            TfyoloError: always.
        """
        raise TfyoloError(
            "test_on_batch is not supported: metrics are computed over all images", fix="call `evaluate`"
        )

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse Keras' `compute_loss`, which knows no loss of this kind.

        Raises:
            TfyoloError: always.
        """
        raise TfyoloError("compute_loss is not supported", fix="call `losses_of(images, labels).total`")

    def get_config(self) -> dict[str, Any]:
        """Refuse `keras.saving.save_model` and `clone_model`, which would lose the classes and the EMA.

        Raises:
            TfyoloError: always.
        """
        raise TfyoloError(
            "a model in training has no Keras config",
            fix='save it with `model.save("model.keras")`, and copy `model.averaged` or `model.network`',
        )

    def load_weights(self, filepath: str | Path, **kwargs: Any) -> None:
        """Load weights that `save_weights` wrote, as `keras.Model.load_weights`.

        Args:
            filepath: file that ends in `.weights.h5`.
            kwargs: as in Keras.

        Raises:
            TfyoloError: the file holds a whole model.
        """
        if not str(filepath).endswith(".weights.h5"):
            raise TfyoloError(
                "is not a file of `save_weights`, which ends in .weights.h5",
                path=filepath,
                fix="begin with a whole model: tfyolo.training_model(path, data)",
            )
        super().load_weights(filepath, **kwargs)
