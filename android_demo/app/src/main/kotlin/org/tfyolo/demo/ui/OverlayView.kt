package org.tfyolo.demo.ui

import android.content.Context
import android.graphics.Canvas
import android.util.AttributeSet
import android.view.View
import org.tfyolo.demo.R
import org.tfyolo.detector.Detections
import org.tfyolo.detector.ScaleType
import org.tfyolo.detector.ViewMapping

/** Draws boxes over the image or preview, and describes the detections to screen readers. */
class OverlayView @JvmOverloads constructor(context: Context, attributes: AttributeSet? = null) : View(context, attributes) {
    private val painter = BoxPainter(resources.displayMetrics.density)
    private var announcedAt = 0L

    var detections: Detections? = null
        private set

    /** How the image is scaled to this view. */
    var scaleType: ScaleType = ScaleType.FIT_CENTER
        private set

    fun show(detections: Detections?, scaleType: ScaleType) {
        this.detections = detections
        this.scaleType = scaleType
        invalidate()
        // Limited for the camera: screen readers cannot speak a description that changes with every frame.
        val now = System.currentTimeMillis()
        if (detections == null || scaleType == ScaleType.FIT_CENTER || now - announcedAt > ANNOUNCE_MS) {
            announcedAt = now
            contentDescription = detections?.let { ResultText.summary(resources, it) } ?: resources.getString(R.string.image)
        }
    }

    override fun onDraw(canvas: Canvas) {
        val detections = detections ?: return
        val mapping = ViewMapping(detections.sourceWidth, detections.sourceHeight, width, height, scaleType)
        painter.draw(canvas, detections, mapping, width, height, ResultText::percent)
    }

    private companion object {
        const val ANNOUNCE_MS = 2000
    }
}
