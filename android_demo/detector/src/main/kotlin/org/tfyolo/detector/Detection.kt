package org.tfyolo.detector

/**
 * A box in pixels of the upright source image; x points right and y points down from its top left corner.
 *
 * @property left x of the left edge.
 * @property top y of the top edge.
 * @property right x of the right edge.
 * @property bottom y of the bottom edge.
 */
public data class Box(val left: Float, val top: Float, val right: Float, val bottom: Float) {
    val width: Float get() = right - left
    val height: Float get() = bottom - top
}

/**
 * One detected object.
 *
 * @property box in pixels of the upright source image.
 * @property classId index into [ModelDescription.classNames].
 * @property label name of the class.
 * @property score objectness times class score, 0 to 1.
 * @property mask pixels of the object; null if the model does not segment objects.
 */
public data class Detection(val box: Box, val classId: Int, val label: String, val score: Float, val mask: Mask? = null)

/**
 * Duration of each step for one image, in milliseconds.
 *
 * @property preprocessMs rotation, letterbox and color conversion.
 * @property inferenceMs running the model, including NMS if the graph contains it.
 * @property postprocessMs reading the outputs, and NMS outside of the graph.
 */
public data class Timings(val preprocessMs: Float, val inferenceMs: Float, val postprocessMs: Float) {
    val totalMs: Float get() = preprocessMs + inferenceMs + postprocessMs
}

/**
 * Detections of one image, sorted by descending score.
 *
 * @property sourceWidth width in pixels of the upright source image that the boxes refer to.
 * @property sourceHeight its height in pixels.
 * @property timings duration of each step.
 */
public class Detections(
    private val list: List<Detection>,
    override val sourceWidth: Int,
    override val sourceHeight: Int,
    override val timings: Timings,
) : List<Detection> by list, ImageResult {
    override fun equals(other: Any?): Boolean = list == other

    override fun hashCode(): Int = list.hashCode()

    override fun toString(): String = list.toString()
}
