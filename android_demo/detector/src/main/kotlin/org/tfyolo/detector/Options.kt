package org.tfyolo.detector

/** What computes the network. */
public enum class Delegate {
    /** The quickest, by timing; remembered per model and device. */
    AUTO,

    /** XNNPACK. */
    CPU,

    /** OpenGL or OpenCL; where that fails, the processor, and [Backend.fallback] says why. */
    GPU,
}

/**
 * How to load a model.
 *
 * @property threads of the processor; null for the quickest of 1, 2 and 4, as far as there are cores.
 * @property scoreThreshold detections must exceed it; null for what stands in the file.
 * @property iouThreshold overlap with a better box of its class that costs a detection its place; null likewise.
 * @property maxResults at most as many detections; null likewise.
 */
public data class Options(
    val threads: Int? = null,
    val delegate: Delegate = Delegate.AUTO,
    val scoreThreshold: Float? = null,
    val iouThreshold: Float? = null,
    val maxResults: Int? = null,
) {
    init {
        require(threads == null || threads in 1..64) { "threads is $threads, and 1 to 64 are possible" }
        require(scoreThreshold == null || scoreThreshold in 0f..1f) { "scoreThreshold is $scoreThreshold, not 0 to 1" }
        require(iouThreshold == null || iouThreshold in 0f..1f) { "iouThreshold is $iouThreshold, not 0 to 1" }
        require(maxResults == null || maxResults > 0) { "maxResults is $maxResults" }
    }
}

/**
 * What is kept. Can be changed between frames, see [Detector.thresholds].
 *
 * @property score detections must exceed it.
 * @property iou overlap with a better box of its class that costs a detection its place.
 * @property classes indices of the classes to keep; null for all.
 */
public data class Thresholds(
    val score: Float,
    val iou: Float,
    val maxResults: Int,
    val classes: Set<Int>? = null,
)
