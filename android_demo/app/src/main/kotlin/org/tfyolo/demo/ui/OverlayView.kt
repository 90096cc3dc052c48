package org.tfyolo.demo.ui

import android.content.Context
import android.graphics.Canvas
import android.util.AttributeSet
import android.view.View
import org.tfyolo.demo.R
import org.tfyolo.detector.Detections
import org.tfyolo.detector.ScaleType
import org.tfyolo.detector.ViewMapping

/** Boxes over what is shown, and in words for those who do not see it. */
class OverlayView @JvmOverloads constructor(context: Context, attributes: AttributeSet? = null) : View(context, attributes) {
    private val painter = BoxPainter(resources.displayMetrics.density)
    private var spokenAt = 0L

    var found: Detections? = null
        private set

    /** How the image lies in this view. */
    var scaleType: ScaleType = ScaleType.FIT_CENTER
        private set

    fun show(found: Detections?, scaleType: ScaleType) {
        this.found = found
        this.scaleType = scaleType
        invalidate()
        // A camera finds something many times a second; a description that changes as often cannot be heard.
        val now = System.currentTimeMillis()
        if (found == null || scaleType == ScaleType.FIT_CENTER || now - spokenAt > SPEAK_MS) {
            spokenAt = now
            contentDescription = found?.let { Wording.found(resources, it) } ?: resources.getString(R.string.image)
        }
    }

    override fun onDraw(canvas: Canvas) {
        val found = found ?: return
        val mapping = ViewMapping(found.sourceWidth, found.sourceHeight, width, height, scaleType)
        painter.draw(canvas, found, mapping, width, height, Wording::percent)
    }

    private companion object {
        const val SPEAK_MS = 2000
    }
}
