package org.tfyolo.demo.ui

import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.RectF
import android.graphics.SurfaceTexture
import android.os.SystemClock
import android.view.Surface
import android.view.TextureView
import android.view.View
import android.view.ViewGroup
import android.widget.Button
import android.widget.ImageView
import android.widget.TextView
import org.tfyolo.demo.R
import org.tfyolo.demo.camera.CameraInfo
import org.tfyolo.demo.camera.CameraGeometry
import org.tfyolo.demo.camera.Extent
import org.tfyolo.demo.inference.Found
import org.tfyolo.detector.ScaleType

/**
 * The display: camera preview or image, results, messages, and the sheet below.
 *
 * @param recycle receives results that are not displayed anymore.
 */
class Stage(val root: View, private val recycle: (Found) -> Unit) {
    private val preview: TextureView = root.findViewById(R.id.preview)
    private val image: ImageView = root.findViewById(R.id.image)
    private val overlay: OverlayView = root.findViewById(R.id.overlay)
    private val sheet: BottomSheet? = root.findViewById(R.id.sheet)
    private val summary: TextView = root.findViewById(R.id.summary)
    private val busy: View = root.findViewById(R.id.busy)
    private val message: View = root.findViewById(R.id.message)
    private var previewCamera: CameraInfo? = null
    private var lastFrame = 0L
    private var frameMs = 0f

    /** Called when the preview's texture is available. */
    var onTexture: (() -> Unit)? = null

    /** Texture of the preview; null if it is not available. */
    val texture: SurfaceTexture? get() = preview.surfaceTexture.takeIf { preview.isAvailable }

    /** Frame rate of the camera as a moving average; null before the second frame. */
    val framesPerSecond: Float? get() = if (frameMs > 0) 1000 / frameMs else null

    /** Counterclockwise rotation of the display in degrees. */
    val displayDegrees: Int
        get() = when (root.display?.rotation) {
            Surface.ROTATION_90 -> 90
            Surface.ROTATION_180 -> 180
            Surface.ROTATION_270 -> 270
            else -> 0
        }

    val isSheetExpanded: Boolean get() = sheet?.expanded ?: false

    init {
        if (sheet == null) root.findViewById<View>(R.id.toggle).visibility = View.GONE
        preview.surfaceTextureListener = object : TextureView.SurfaceTextureListener {
            override fun onSurfaceTextureAvailable(texture: SurfaceTexture, width: Int, height: Int) {
                onTexture?.invoke()
            }

            override fun onSurfaceTextureSizeChanged(texture: SurfaceTexture, width: Int, height: Int) {
                previewCamera?.let { rotatePreview(it, displayDegrees) }
            }

            override fun onSurfaceTextureDestroyed(texture: SurfaceTexture): Boolean = true

            override fun onSurfaceTextureUpdated(texture: SurfaceTexture) = Unit
        }
    }

    fun onClick(id: Int, action: () -> Unit) = root.findViewById<View>(id).setOnClickListener { action() }

    fun setSheetExpanded(expanded: Boolean) {
        sheet?.setExpanded(expanded, false)
    }

    /** Keep controls out of the system bars and display cutouts; insets in pixels. */
    fun setInsets(left: Int, top: Int, right: Int, bottom: Int) {
        val above = root.findViewById<View>(R.id.top)
        val controls = root.findViewById<View>(R.id.inset)
        if (sheet != null) {
            above.setPadding(left, top, right, 0)
            overlay.setPadding(left, top, right, 0)
            controls.setPadding(left, 0, right, bottom)
        } else {
            // The controls are next to the image: at the left in right-to-left layouts, otherwise at the right.
            val toLeft = root.layoutDirection == View.LAYOUT_DIRECTION_RTL
            above.setPadding(if (toLeft) 0 else left, top, if (toLeft) right else 0, 0)
            overlay.setPadding(if (toLeft) 0 else left, top, if (toLeft) right else 0, bottom)
            controls.setPadding(if (toLeft) left else 0, 0, if (toLeft) 0 else right, bottom)
            // The panel starts below the status bar, whose icons are white.
            controls.layoutParams = (controls.layoutParams as ViewGroup.MarginLayoutParams).apply { topMargin = top }
        }
    }

    fun showCamera() {
        image.visibility = View.GONE
        preview.visibility = View.VISIBLE
        display(null, ScaleType.FILL_CENTER)
        summary.text = ""
        frameMs = 0f
        lastFrame = 0
    }

    fun showImage(shown: Bitmap) {
        preview.visibility = View.GONE
        image.visibility = View.VISIBLE
        image.setImageBitmap(shown)
        display(null, ScaleType.FIT_CENTER)
    }

    fun clear() {
        image.setImageBitmap(null)
        display(null, ScaleType.FIT_CENTER)
    }

    fun setCameraControls(shown: Boolean) {
        root.findViewById<View>(R.id.flip).visibility = if (shown) View.VISIBLE else View.GONE
    }

    fun rotatePreview(info: CameraInfo, degrees: Int) {
        previewCamera = info
        if (preview.width == 0) return
        preview.setTransform(CameraGeometry.previewMatrix(Extent(preview.width, preview.height), info.size, info.sensor, degrees))
    }

    /** Display results. @param camera null for a still image. */
    fun show(found: Found, camera: CameraInfo?) {
        hideBusy()
        display(found, if (camera == null) ScaleType.FIT_CENTER else ScaleType.FILL_CENTER)
        summary.text = ResultText.summary(root.resources, found.result)
        if (camera != null) countFrame()
    }

    private fun display(found: Found?, scaleType: ScaleType) {
        val previous = overlay.found
        overlay.show(found, scaleType)
        previous?.let(recycle)
    }

    private fun countFrame() {
        val now = SystemClock.elapsedRealtime()
        if (lastFrame > 0) frameMs = if (frameMs == 0f) (now - lastFrame).toFloat() else frameMs * 0.9f + (now - lastFrame) * 0.1f
        lastFrame = now
    }

    fun showBusy() {
        busy.visibility = View.VISIBLE
    }

    fun hideBusy() {
        busy.visibility = View.GONE
    }

    fun showMessage(text: String, action: String?, onAction: (() -> Unit)?) {
        hideBusy()
        message.visibility = View.VISIBLE
        root.findViewById<TextView>(R.id.message_text).text = text
        root.findViewById<Button>(R.id.message_action).apply {
            visibility = if (action == null) View.GONE else View.VISIBLE
            this.text = action
            setOnClickListener { onAction?.invoke() }
        }
    }

    fun hideMessage() {
        message.visibility = View.GONE
    }

    /** The visible part of the camera image, upright. TextureView.getBitmap() ignores the view's transform. */
    private fun previewImage(): Bitmap? {
        val texture = preview.bitmap ?: return null
        val image = Bitmap.createBitmap(preview.width, preview.height, Bitmap.Config.ARGB_8888)
        Canvas(image).drawBitmap(texture, preview.getTransform(null), null)
        return image
    }

    /**
     * A copy of the image with the results; null if there are no results yet.
     *
     * @param shown the image; null for the current camera preview.
     */
    fun annotated(shown: Bitmap?): Bitmap? {
        val found = overlay.found ?: return null
        val copy = (if (shown != null) shown.copy(Bitmap.Config.ARGB_8888, true) else previewImage()) ?: return null
        // Line widths relative to the image, as on a screen of 400 dp.
        val painter = ResultPainter(maxOf(copy.width, copy.height) / 800f)
        val area = RectF(0f, 0f, copy.width.toFloat(), copy.height.toFloat())
        val rightToLeft = root.layoutDirection == View.LAYOUT_DIRECTION_RTL
        painter.draw(Canvas(copy), found, overlay.scaleType, copy.width, copy.height, area, rightToLeft, ResultText::percent)
        return copy
    }
}
