package org.tfyolo.detector

/** The processor that runs the model. */
public enum class Delegate {
    /** The fastest, selected by timing all of them once; remembered per model and device. */
    AUTO,

    /** CPU, with XNNPACK. */
    CPU,

    /** GPU, with OpenCL or OpenGL. If the GPU cannot run the model, the CPU is used and [Backend.fallback] says why. */
    GPU,
}

/**
 * Options for loading a model; thresholds only apply to detectors.
 *
 * @property threads number of CPU threads; null selects the fastest of 1, 2 and 4, limited by the number of cores.
 * @property delegate the processor that runs the model.
 * @property confidenceThreshold a score must exceed it, 0 to 1; null uses the value in the file.
 * @property iouThreshold IoU above which the lower-scoring box of a class is suppressed, 0 to 1; null uses the value in the file.
 * @property maxDetections maximum number of detections per image; null uses the value in the file.
 */
public data class Options(
    val threads: Int? = null,
    val delegate: Delegate = Delegate.AUTO,
    val confidenceThreshold: Float? = null,
    val iouThreshold: Float? = null,
    val maxDetections: Int? = null,
) {
    init {
        require(threads == null || threads in 1..64) { "threads must be 1 to 64, not $threads" }
        require(confidenceThreshold == null || confidenceThreshold in 0f..1f) { "confidenceThreshold must be 0 to 1, not $confidenceThreshold" }
        require(iouThreshold == null || iouThreshold in 0f..1f) { "iouThreshold must be 0 to 1, not $iouThreshold" }
        require(maxDetections == null || maxDetections > 0) { "maxDetections must be at least 1, not $maxDetections" }
    }
}

/**
 * Thresholds and filters of detections; can be changed from image to image with [Detector.thresholds].
 *
 * @property confidence confidence threshold: a score must exceed it, 0 to 1.
 * @property iou IoU threshold: above it, the lower-scoring box of a class is suppressed, 0 to 1.
 * @property maxDetections maximum number of detections per image.
 * @property classIds classes to keep; null keeps all.
 */
public data class Thresholds(
    val confidence: Float,
    val iou: Float,
    val maxDetections: Int,
    val classIds: Set<Int>? = null,
)
