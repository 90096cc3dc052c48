package org.tfyolo.detector

/** How an image is scaled to a view; the names are those of Android's ImageView and CameraX. */
public enum class ScaleType {
    /** The whole image is visible and centered; the rest of the view is empty. */
    FIT_CENTER,

    /** The image fills the view and is centered; parts outside of the view are cropped. */
    FILL_CENTER,
}

/**
 * Converts coordinates between pixels of an upright image and pixels of the view that displays it.
 *
 * ```
 * val mapping = ViewMapping(detections.sourceWidth, detections.sourceHeight, view.width, view.height, ScaleType.FILL_CENTER)
 * canvas.drawRect(mapping.toView(detection.box).run { RectF(left, top, right, bottom) }, paint)
 * ```
 *
 * @property scale view pixels per image pixel.
 * @property offsetX x of the image's left edge in the view; negative if the image is cropped.
 * @property offsetY y of the image's top edge in the view; negative if the image is cropped.
 */
public class ViewMapping(sourceWidth: Int, sourceHeight: Int, viewWidth: Int, viewHeight: Int, scaleType: ScaleType) {
    public val scale: Float
    public val offsetX: Float
    public val offsetY: Float

    init {
        require(sourceWidth > 0 && sourceHeight > 0) { "the image is empty: $sourceWidth x $sourceHeight" }
        val horizontal = viewWidth.toFloat() / sourceWidth
        val vertical = viewHeight.toFloat() / sourceHeight
        scale = if (scaleType == ScaleType.FIT_CENTER) minOf(horizontal, vertical) else maxOf(horizontal, vertical)
        offsetX = (viewWidth - sourceWidth * scale) / 2
        offsetY = (viewHeight - sourceHeight * scale) / 2
    }

    /** Convert x from image pixels to view pixels. */
    public fun toViewX(x: Float): Float = x * scale + offsetX

    /** Convert y from image pixels to view pixels. */
    public fun toViewY(y: Float): Float = y * scale + offsetY

    /** Convert x from view pixels to image pixels. */
    public fun toSourceX(x: Float): Float = (x - offsetX) / scale

    /** Convert y from view pixels to image pixels. */
    public fun toSourceY(y: Float): Float = (y - offsetY) / scale

    /** Convert a box from image pixels to view pixels. */
    public fun toView(box: Box): Box =
        Box(toViewX(box.left), toViewY(box.top), toViewX(box.right), toViewY(box.bottom))
}
