package org.tfyolo.detector

/** Metadata of a model, read from its file. */
public sealed interface ModelDescription {
    /** Architecture, such as `yolov5n`. */
    public val name: String

    /** Names of the classes, indexed by class id. */
    public val classNames: List<String>

    /** Width of the model's input in pixels. */
    public val inputWidth: Int

    /** Height of the model's input in pixels. */
    public val inputHeight: Int

    /** `float32`, `float16`, `int8` or another precision of the exporter. */
    public val precision: String

    /** Normalization of float inputs. */
    public val normalization: Normalization
}

/**
 * Metadata of a detector, with or without masks.
 *
 * @property nms where NMS runs: `postprocess` or `builtin` (in the graph), `none` or `raw` (in this library).
 * @property embeddedNms thresholds of the NMS in the graph; null if the graph has no NMS. Looser [Detector.thresholds] have no
 *   effect, because the graph has already dropped those detections.
 * @property defaults initial value of [Detector.thresholds].
 * @property hasMasks true if the model segments objects: each detection has a [Detection.mask].
 * @property anchorsPx per scale: anchors as a flat list of (width, height) pairs in pixels of the input.
 * @property strides per scale: pixels of the input per grid cell.
 */
public data class DetectorDescription(
    override val name: String,
    override val classNames: List<String>,
    override val inputWidth: Int,
    override val inputHeight: Int,
    override val precision: String,
    override val normalization: Normalization,
    val nms: String,
    val embeddedNms: Thresholds?,
    val defaults: Thresholds,
    val hasMasks: Boolean,
    val anchorsPx: List<List<Float>>,
    val strides: List<Int>,
) : ModelDescription

/** Metadata of a classifier. */
public data class ClassifierDescription(
    override val name: String,
    override val classNames: List<String>,
    override val inputWidth: Int,
    override val inputHeight: Int,
    override val precision: String,
    override val normalization: Normalization,
) : ModelDescription

/**
 * Normalization of float inputs: `(pixel - mean) / std`, for pixels 0 to 255.
 *
 * @property mean subtracted from each pixel value.
 * @property std divides the difference.
 */
public data class Normalization(val mean: Float, val std: Float)
