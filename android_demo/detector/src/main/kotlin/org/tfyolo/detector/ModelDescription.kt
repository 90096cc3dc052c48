package org.tfyolo.detector

/**
 * Metadata of a model, read from its file.
 *
 * @property name architecture, such as `yolov5n`.
 * @property classNames names of the classes, indexed by class ID.
 * @property inputWidth width of the model's input in pixels.
 * @property inputHeight height of the model's input in pixels.
 * @property precision `float32`, `float16`, `int8` or another precision of the exporter.
 * @property nms where NMS runs: `postprocess` or `builtin` (in the graph), `none` or `raw` (in this library).
 * @property embeddedNms thresholds of the NMS in the graph; null if the graph has no NMS. Looser [Detector.thresholds] have no
 *   effect, because the graph has already dropped those detections.
 * @property defaults initial value of [Detector.thresholds].
 * @property normalization of float inputs.
 * @property anchorsPx per scale: anchors as a flat list of (width, height) pairs in pixels of the input.
 * @property strides per scale: pixels of the input per grid cell.
 */
public data class ModelDescription(
    val name: String,
    val classNames: List<String>,
    val inputWidth: Int,
    val inputHeight: Int,
    val precision: String,
    val nms: String,
    val embeddedNms: Thresholds?,
    val defaults: Thresholds,
    val normalization: Normalization,
    val anchorsPx: List<List<Float>>,
    val strides: List<Int>,
)

/**
 * Normalization of float inputs: `(pixel - mean) / std`, for pixels 0 to 255.
 *
 * @property mean subtracted from each pixel value.
 * @property std divides the difference.
 */
public data class Normalization(val mean: Float, val std: Float)
