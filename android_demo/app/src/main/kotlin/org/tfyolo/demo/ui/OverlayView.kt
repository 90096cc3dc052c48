package org.tfyolo.demo.ui

import android.content.Context
import android.graphics.Canvas
import android.graphics.RectF
import android.util.AttributeSet
import android.view.View
import org.tfyolo.demo.R
import org.tfyolo.demo.inference.Found
import org.tfyolo.detector.ScaleType

/** Draws results over the image or preview, and describes them to screen readers. Its padding is the part that is hidden. */
class OverlayView @JvmOverloads constructor(context: Context, attributes: AttributeSet? = null) : View(context, attributes) {
    private val painter = ResultPainter(resources.displayMetrics.density)
    private val area = RectF()
    private var announcedAt = 0L

    /** The displayed results; null while there are none. */
    var found: Found? = null
        private set

    /** How the image is scaled to this view. */
    var scaleType: ScaleType = ScaleType.FIT_CENTER
        private set

    fun show(found: Found?, scaleType: ScaleType) {
        this.found = found
        this.scaleType = scaleType
        invalidate()
        // Limited for the camera: screen readers cannot speak a description that changes with every frame.
        val now = System.currentTimeMillis()
        if (found == null || scaleType == ScaleType.FIT_CENTER || now - announcedAt > ANNOUNCE_MS) {
            announcedAt = now
            contentDescription = found?.let { ResultText.summary(resources, it.result) } ?: resources.getString(R.string.image)
        }
    }

    override fun onDraw(canvas: Canvas) {
        val found = found ?: return
        area.set(paddingLeft.toFloat(), paddingTop.toFloat(), (width - paddingRight).toFloat(), (height - paddingBottom).toFloat())
        painter.draw(canvas, found, scaleType, width, height, area, layoutDirection == LAYOUT_DIRECTION_RTL, ResultText::percent)
    }

    private companion object {
        const val ANNOUNCE_MS = 2000
    }
}
