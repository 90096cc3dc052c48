package org.tfyolo.demo

import android.app.Activity
import android.content.Intent
import android.graphics.Bitmap
import android.os.Bundle
import org.tfyolo.demo.camera.CameraController
import org.tfyolo.demo.camera.CameraInfo
import org.tfyolo.demo.images.ImageController
import org.tfyolo.demo.images.ImageSource
import org.tfyolo.demo.inference.Found
import org.tfyolo.demo.inference.LoadedModel
import org.tfyolo.demo.inference.ModelHost
import org.tfyolo.demo.models.ModelController
import org.tfyolo.demo.ui.Insets
import org.tfyolo.demo.ui.Stage

/** The app's only screen: creates the controllers of camera, images and models, and passes events to them. */
class MainActivity : Activity(), ModelHost.Listener {
    private lateinit var stage: Stage
    private lateinit var picker: FilePicker
    private lateinit var images: ImageController

    lateinit var host: ModelHost
        private set

    lateinit var camera: CameraController
        private set

    lateinit var models: ModelController
        private set

    /** True if memory was freed while the app was in the background. */
    private var released = false

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.activity_main)
        val settings = Settings(this)
        @Suppress("DEPRECATION") // The replacement is in a library (AndroidX), which this app does not use.
        host = lastNonConfigurationInstance as? ModelHost ?: ModelHost(this)
        host.listener = this
        stage = Stage(findViewById(R.id.root), host::recycle)
        Insets.edgeToEdge(window, stage.root, stage::setInsets)
        picker = FilePicker(this) { stage.showMessage(getString(R.string.no_picker), null, null) }
        camera = CameraController(this, settings, stage, host) { images.showNextSample() }
        images = ImageController(this, stage, host, camera::hide)
        models = ModelController(this, settings, stage, host, images, picker)
        listenToButtons()
        models.start()
        stage.setSheetExpanded(savedInstanceState?.getBoolean(SHEET) ?: false)
        restoreOrStart(savedInstanceState?.getString(SOURCE)?.let(ImageSource::parse), savedInstanceState != null)
    }

    private fun listenToButtons() {
        picker.onImage { images.show(ImageSource.Gallery(it)) }
        stage.onClick(R.id.camera) { showCamera() }
        stage.onClick(R.id.gallery) { picker.chooseImage() }
        stage.onClick(R.id.samples) { images.showNextSample() }
        stage.onClick(R.id.flip) { camera.flip() }
        stage.onClick(R.id.share) { images.share() }
    }

    /** Show what was shown before, or the camera; a sample if the camera is not available. */
    private fun restoreOrStart(stored: ImageSource?, restored: Boolean) {
        if (restored && stored != null) return images.show(stored)
        if (camera.isPermitted) return showCamera()
        images.showNextSample()
        camera.askOrOffer()
    }

    private fun showCamera() {
        camera.show()
        if (camera.isShown) images.hide()
    }

    // Results

    override fun onLoaded(loaded: LoadedModel) = models.onLoaded(loaded)

    override fun onModelRejected(message: String) = models.onModelRejected(message)

    override fun onImage(image: Bitmap, found: Found) {
        if (images.isShown(image)) show(found, null) else host.recycle(found)
    }

    override fun onFrame(found: Found) {
        val info = camera.info // null once the camera has closed: this frame is late
        if (camera.isShown && info != null) show(found, info) else host.recycle(found)
    }

    private fun show(found: Found, info: CameraInfo?) {
        stage.show(found, info)
        models.panel.show(found.result.timings, if (info == null) null else stage.framesPerSecond)
    }

    // Lifecycle

    override fun onStart() {
        super.onStart()
        camera.onActivityStart()
        if (!released) return
        released = false
        models.onEngineChosen()
        images.restore()
    }

    override fun onResume() {
        super.onResume()
        // The permission may have been granted in the settings, or another app may have released the camera.
        camera.start()
    }

    override fun onTopResumedActivityChanged(top: Boolean) {
        super.onTopResumedActivityChanged(top)
        if (top) camera.start()
    }

    override fun onPause() {
        // In multi-window mode the camera keeps running until another app needs it.
        if (!isInMultiWindowMode) camera.stop()
        super.onPause()
    }

    override fun onStop() {
        camera.onActivityStop()
        super.onStop()
    }

    override fun onTrimMemory(level: Int) {
        super.onTrimMemory(level)
        if (level < TRIM_MEMORY_BACKGROUND) return
        // The app is in the background: free everything that can be loaded again.
        released = true
        host.release()
        images.release()
    }

    override fun onDestroy() {
        images.close()
        stage.onTexture = null
        if (isChangingConfigurations) host.listener = null else host.close()
        super.onDestroy()
    }

    @Deprecated("Keeps the loaded model across configuration changes; the replacement is in AndroidX")
    override fun onRetainNonConfigurationInstance(): Any = host

    override fun onSaveInstanceState(state: Bundle) {
        super.onSaveInstanceState(state)
        state.putString(SOURCE, images.source?.toString())
        state.putBoolean(SHEET, stage.isSheetExpanded)
    }

    @Deprecated("The replacement requires Android 13")
    override fun onBackPressed() {
        @Suppress("DEPRECATION")
        if (stage.isSheetExpanded) stage.setSheetExpanded(false) else super.onBackPressed()
    }

    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        super.onActivityResult(request, result, data)
        picker.onResult(request, result, data)
    }

    override fun onRequestPermissionsResult(request: Int, permissions: Array<out String>, results: IntArray) {
        super.onRequestPermissionsResult(request, permissions, results)
        camera.onPermissionResult(request, results)
        if (camera.isShown) images.hide()
    }

    private companion object {
        const val SOURCE = "source"
        const val SHEET = "sheet"
    }
}
