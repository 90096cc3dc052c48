package org.tfyolo.demo.images

import android.app.Activity
import android.content.Intent
import android.graphics.Bitmap
import java.util.concurrent.Executors
import org.tfyolo.demo.R
import org.tfyolo.demo.inference.ModelHost
import org.tfyolo.demo.ui.Stage

/**
 * Shows still images: decodes them, passes them to the model, and shares them with the results.
 *
 * @param onShow called before an image is displayed.
 */
class ImageController(
    private val activity: Activity,
    private val stage: Stage,
    private val host: ModelHost,
    private val onShow: () -> Unit,
) {
    private val decoding = Executors.newSingleThreadExecutor()
    private var image: Bitmap? = null

    /** Source of the displayed image; null while the camera is displayed. */
    var source: ImageSource? = null
        private set

    fun show(source: ImageSource) {
        onShow()
        this.source = source
        stage.hideMessage()
        stage.showBusy()
        decoding.execute {
            val loaded = ImageLoader.load(activity.applicationContext, source)
            activity.runOnUiThread { if (this.source == source && !activity.isDestroyed) showDecoded(loaded) }
        }
    }

    fun showNextSample() {
        val samples = ImageSource.samples(activity)
        if (samples.isEmpty()) return
        show(samples[(samples.indexOf(source) + 1) % samples.size])
    }

    private fun showDecoded(loaded: Bitmap?) {
        image = loaded
        if (loaded == null) return stage.showMessage(activity.getString(R.string.image_unreadable), null, null)
        stage.showImage(loaded)
        stage.setCameraControls(false)
        // If no model is loaded yet, the image is passed to it when it is.
        if (host.loaded != null) host.run(loaded)
    }

    /** Pass the displayed image to the model again. @return false if no image is displayed. */
    fun run(): Boolean = image?.let(host::run) != null

    /** True if this image is displayed: results of earlier ones are late. */
    fun isShown(image: Bitmap): Boolean = source != null && image === this.image

    /** The camera is displayed instead. */
    fun hide() {
        source = null
        image = null
    }

    /** Free the memory of the image; [restore] loads it again. */
    fun release() {
        image = null
        stage.clear()
    }

    fun restore() {
        source?.let(::show)
    }

    fun share() {
        val annotated = stage.annotated(image.takeIf { source != null }) ?: return
        val send = SharedImages.send(activity, annotated) ?: return stage.showMessage(activity.getString(R.string.share_no_room), null, null)
        activity.startActivity(Intent.createChooser(send, activity.getString(R.string.share)))
    }

    fun close() = decoding.shutdown()
}
