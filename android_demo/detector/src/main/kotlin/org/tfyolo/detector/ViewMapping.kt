package org.tfyolo.detector

/** How an image lies in a view. */
public enum class ScaleType {
    /** All of it is visible, in the middle; the rest of the view is empty. */
    FIT_CENTER,

    /** It fills the view, from its middle; what does not fit is cut off. */
    FILL_CENTER,
}

/**
 * From pixels of an upright image to pixels of the view that shows it, and back.
 *
 * ```
 * val mapping = ViewMapping(detections.sourceWidth, detections.sourceHeight, view.width, view.height, ScaleType.FILL_CENTER)
 * canvas.drawRect(mapping.toView(detection.box).run { RectF(left, top, right, bottom) }, paint)
 * ```
 *
 * @property scale pixels of the view per pixel of the image.
 * @property offsetX where the image's left edge is in the view; negative where it is cut off.
 */
public class ViewMapping(sourceWidth: Int, sourceHeight: Int, viewWidth: Int, viewHeight: Int, scaleType: ScaleType) {
    public val scale: Float
    public val offsetX: Float
    public val offsetY: Float

    init {
        require(sourceWidth > 0 && sourceHeight > 0) { "the image is $sourceWidth x $sourceHeight" }
        val horizontal = viewWidth.toFloat() / sourceWidth
        val vertical = viewHeight.toFloat() / sourceHeight
        scale = if (scaleType == ScaleType.FIT_CENTER) minOf(horizontal, vertical) else maxOf(horizontal, vertical)
        offsetX = (viewWidth - sourceWidth * scale) / 2
        offsetY = (viewHeight - sourceHeight * scale) / 2
    }

    public fun toViewX(x: Float): Float = x * scale + offsetX

    public fun toViewY(y: Float): Float = y * scale + offsetY

    public fun toSourceX(x: Float): Float = (x - offsetX) / scale

    public fun toSourceY(y: Float): Float = (y - offsetY) / scale

    public fun toView(box: Box): Box =
        Box(toViewX(box.left), toViewY(box.top), toViewX(box.right), toViewY(box.bottom))
}
