package org.tfyolo.detector

/**
 * What a model file says about itself.
 *
 * @property name of the network, such as `yolov5n`.
 * @property labels names of the classes, by index.
 * @property inputWidth of the network's input in pixels.
 * @property precision `float32`, `float16`, `int8` or another that the exporter names.
 * @property suppression where boxes are suppressed: `postprocess` or `builtin` (in the file), `none` or `raw` (here).
 * @property inside thresholds of the suppression in the file, null if there is none. What they drop cannot be had back:
 *   lower [Detector.thresholds] have no effect.
 * @property defaults thresholds that hold until others are set.
 * @property normalization what the file says about pixels of float inputs: `(pixel - mean) / std`.
 * @property anchorsPx per scale, width and height pairs in pixels of the input.
 * @property strides pixels of a cell, per scale.
 */
public data class ModelDescription(
    val name: String,
    val labels: List<String>,
    val inputWidth: Int,
    val inputHeight: Int,
    val precision: String,
    val suppression: String,
    val inside: Thresholds?,
    val defaults: Thresholds,
    val normalization: Normalization,
    val anchorsPx: List<List<Float>>,
    val strides: List<Int>,
)

/** A float input is `(pixel - mean) / std`, pixels 0 to 255. */
public data class Normalization(val mean: Float, val std: Float)
