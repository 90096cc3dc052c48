package org.tfyolo.demo.ui

import android.graphics.Bitmap
import android.graphics.Canvas
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
import org.tfyolo.demo.camera.CameraFacts
import org.tfyolo.demo.camera.CameraGeometry
import org.tfyolo.demo.camera.Extent
import org.tfyolo.detector.Detections
import org.tfyolo.detector.ScaleType
import org.tfyolo.detector.ViewMapping

/** What is seen: camera or image, boxes over it, messages, and the sheet below. */
class Stage(val root: View) {
    private val preview: TextureView = root.findViewById(R.id.preview)
    private val image: ImageView = root.findViewById(R.id.image)
    private val overlay: OverlayView = root.findViewById(R.id.overlay)
    private val sheet: BottomSheet? = root.findViewById(R.id.sheet)
    private val summary: TextView = root.findViewById(R.id.summary)
    private val busy: View = root.findViewById(R.id.busy)
    private val message: View = root.findViewById(R.id.message)
    private var turned: CameraFacts? = null
    private var lastFrame = 0L
    private var frameMs = 0f

    /** Called when the camera has something to draw on. */
    var onTexture: (() -> Unit)? = null

    /** Null while the camera cannot be drawn. */
    val texture: SurfaceTexture? get() = preview.surfaceTexture.takeIf { preview.isAvailable }

    /** Of the camera, smoothed; null until there are two frames. */
    val framesPerSecond: Float? get() = if (frameMs > 0) 1000 / frameMs else null

    /** The display's rotation: counter-clockwise, in degrees. */
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
                turned?.let { turnPreview(it, displayDegrees) }
            }

            override fun onSurfaceTextureDestroyed(texture: SurfaceTexture): Boolean = true

            override fun onSurfaceTextureUpdated(texture: SurfaceTexture) = Unit
        }
    }

    fun onClick(id: Int, action: () -> Unit) = root.findViewById<View>(id).setOnClickListener { action() }

    fun setSheetExpanded(expanded: Boolean) {
        sheet?.setExpanded(expanded, false)
    }

    /** Keep what is touched clear of the system's bars. */
    fun setInsets(left: Int, top: Int, right: Int, bottom: Int) {
        val above = root.findViewById<View>(R.id.top)
        val controls = root.findViewById<View>(R.id.inset)
        if (sheet != null) {
            above.setPadding(left, top, right, 0)
            controls.setPadding(left, 0, right, bottom)
        } else {
            // Controls stand beside the image, at its end.
            val toLeft = root.layoutDirection == View.LAYOUT_DIRECTION_RTL
            above.setPadding(if (toLeft) 0 else left, top, if (toLeft) right else 0, 0)
            controls.setPadding(if (toLeft) left else 0, 0, if (toLeft) 0 else right, bottom)
            // The status bar's signs are white: the panel begins below them.
            controls.layoutParams = (controls.layoutParams as ViewGroup.MarginLayoutParams).apply { topMargin = top }
        }
    }

    fun showCamera() {
        image.visibility = View.GONE
        preview.visibility = View.VISIBLE
        overlay.show(null, ScaleType.FILL_CENTER)
        summary.text = ""
        frameMs = 0f
        lastFrame = 0
    }

    fun showImage(shown: Bitmap) {
        preview.visibility = View.GONE
        image.visibility = View.VISIBLE
        image.setImageBitmap(shown)
        overlay.show(null, ScaleType.FIT_CENTER)
    }

    fun clear() {
        image.setImageBitmap(null)
        overlay.show(null, ScaleType.FIT_CENTER)
    }

    fun setCameraControls(shown: Boolean) {
        root.findViewById<View>(R.id.flip).visibility = if (shown) View.VISIBLE else View.GONE
    }

    fun turnPreview(facts: CameraFacts, degrees: Int) {
        turned = facts
        if (preview.width == 0) return
        preview.setTransform(CameraGeometry.previewMatrix(Extent(preview.width, preview.height), facts.size, facts.sensor, degrees))
    }

    /** @param camera null for an image. */
    fun showFound(found: Detections, camera: CameraFacts?) {
        hideBusy()
        overlay.show(found, if (camera == null) ScaleType.FIT_CENTER else ScaleType.FILL_CENTER)
        summary.text = Wording.found(root.resources, found)
        if (camera != null) countFrame()
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

    /** What the view shows of the camera. Its bitmap is the texture as it is, without what turns it upright. */
    private fun previewImage(): Bitmap? {
        val texture = preview.bitmap ?: return null
        val image = Bitmap.createBitmap(preview.width, preview.height, Bitmap.Config.ARGB_8888)
        Canvas(image).drawBitmap(texture, preview.getTransform(null), null)
        return image
    }

    /**
     * A copy with the boxes drawn into it; null while nothing has been detected.
     *
     * @param shown the whole image; null for what the camera shows now.
     */
    fun annotated(shown: Bitmap?): Bitmap? {
        val found = overlay.found ?: return null
        val copy = (if (shown != null) shown.copy(Bitmap.Config.ARGB_8888, true) else previewImage()) ?: return null
        val mapping = ViewMapping(found.sourceWidth, found.sourceHeight, copy.width, copy.height, overlay.scaleType)
        // Lines as they look on a screen of 400 dp, whatever the image's size.
        BoxPainter(maxOf(copy.width, copy.height) / 800f).draw(Canvas(copy), found, mapping, copy.width, copy.height, Wording::percent)
        return copy
    }
}
