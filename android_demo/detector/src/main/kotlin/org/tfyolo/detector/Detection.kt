package org.tfyolo.detector

/** A rectangle in pixels of the upright source: x to the right, y down, from its top left corner. */
public data class Box(val left: Float, val top: Float, val right: Float, val bottom: Float) {
    val width: Float get() = right - left
    val height: Float get() = bottom - top
}

/**
 * One object that was found.
 *
 * @property box in pixels of the upright source.
 * @property classIndex index into [ModelDescription.labels].
 * @property score 0 to 1.
 */
public data class Detection(val box: Box, val classIndex: Int, val label: String, val score: Float)

/**
 * What a frame cost, in milliseconds.
 *
 * @property preprocessMs rotation, letterbox and conversion of colors.
 * @property inferenceMs the network, with the suppression inside the file if it has one.
 * @property postprocessMs reading its outputs, and suppression outside of it.
 */
public data class Timings(val preprocessMs: Float, val inferenceMs: Float, val postprocessMs: Float) {
    val totalMs: Float get() = preprocessMs + inferenceMs + postprocessMs
}

/**
 * What was found in one image, best first, and what belongs to it.
 *
 * @property sourceWidth width of the upright source in pixels, which the boxes relate to.
 * @property sourceHeight its height.
 */
public class Detections(
    private val list: List<Detection>,
    public val sourceWidth: Int,
    public val sourceHeight: Int,
    public val timings: Timings,
) : List<Detection> by list {
    override fun equals(other: Any?): Boolean = list == other

    override fun hashCode(): Int = list.hashCode()

    override fun toString(): String = list.toString()
}
