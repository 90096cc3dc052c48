package org.tfyolo.demo

import android.app.Activity
import android.app.AlertDialog
import android.content.ActivityNotFoundException
import android.content.Intent
import android.graphics.Bitmap
import android.media.Image
import android.net.Uri
import android.os.Build
import android.os.Bundle
import android.provider.MediaStore
import android.view.View
import java.util.concurrent.Executors
import org.tensorflow.lite.TensorFlowLite
import org.tfyolo.demo.camera.CameraInfo
import org.tfyolo.demo.camera.CameraGeometry
import org.tfyolo.demo.camera.CameraPermission
import org.tfyolo.demo.camera.CameraPermission.State
import org.tfyolo.demo.camera.CameraProblem
import org.tfyolo.demo.camera.CameraSource
import org.tfyolo.demo.camera.DisplayRotationListener
import org.tfyolo.demo.detection.DetectorHost
import org.tfyolo.demo.detection.LoadedModel
import org.tfyolo.demo.models.ModelLibrary
import org.tfyolo.demo.images.ImageLoader
import org.tfyolo.demo.images.ImageSource
import org.tfyolo.demo.images.SharedImages
import org.tfyolo.demo.ui.ControlPanel
import org.tfyolo.demo.ui.Insets
import org.tfyolo.demo.ui.Stage
import org.tfyolo.detector.Detections
import org.tfyolo.detector.Options
import org.tfyolo.detector.Thresholds

/** The app's only screen: connects camera, images, detector and controls. */
class MainActivity : Activity(), DetectorHost.Listener, CameraSource.Listener, ControlPanel.Listener {
    private lateinit var settings: Settings
    private lateinit var library: ModelLibrary
    private lateinit var permission: CameraPermission
    private lateinit var stage: Stage
    private lateinit var panel: ControlPanel
    private lateinit var camera: CameraSource
    private lateinit var rotationListener: DisplayRotationListener
    private val decoding = Executors.newSingleThreadExecutor()

    lateinit var host: DetectorHost
        private set

    /** The displayed image; null while the camera is displayed. */
    private var source: ImageSource? = null
    private var image: Bitmap? = null

    /** True if memory was freed while the app was in the background. */
    private var released = false

    /** Clockwise rotation in degrees that makes camera frames upright; read on the detector's thread. */
    @Volatile
    private var rotation = 0

    @Volatile
    private var cameraInfo: CameraInfo? = null

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.activity_main)
        settings = Settings(this)
        library = ModelLibrary(this)
        permission = CameraPermission(this, settings)
        stage = Stage(findViewById(R.id.root))
        Insets.edgeToEdge(window, stage.root, stage::setInsets)
        panel = ControlPanel(stage.root, settings, library, this)
        @Suppress("DEPRECATION") // The replacement is in a library (AndroidX), which this app does not use.
        host = lastNonConfigurationInstance as? DetectorHost ?: DetectorHost(this)
        host.listener = this
        camera = CameraSource(this, host.handler, this)
        rotationListener = DisplayRotationListener(this, ::updateRotation)
        stage.onTexture = { startCamera() }
        listenToButtons()
        showThresholds()
        host.loaded?.let(::onLoaded) ?: onEngineChosen()
        stage.setSheetExpanded(savedInstanceState?.getBoolean(SHEET) ?: false)
        restoreOrStart(savedInstanceState?.getString(SOURCE)?.let(ImageSource::parse), savedInstanceState != null)
    }

    private fun listenToButtons() {
        stage.onClick(R.id.camera) { showCamera() }
        stage.onClick(R.id.gallery) { chooseFile(imageIntent(), REQUEST_IMAGE) }
        stage.onClick(R.id.samples) { showNextSample() }
        stage.onClick(R.id.flip) { flipCamera() }
        stage.onClick(R.id.share) { share() }
    }

    /** Show what was shown before, or the camera; a sample if the camera is not available. */
    private fun restoreOrStart(stored: ImageSource?, restored: Boolean) {
        if (restored && stored != null) return show(stored)
        if (permission.state == State.GRANTED) return showCamera()
        showNextSample()
        if (permission.state == State.NOT_ASKED) permission.ask() else offerCamera()
    }

    override fun onResume() {
        super.onResume()
        // The permission may have been granted in the settings, or another app may have released the camera.
        if (source == null) startCamera()
    }

    override fun onPause() {
        // In multi-window mode the camera keeps running until another app needs it.
        if (!isInMultiWindowMode) stopCamera()
        super.onPause()
    }

    override fun onStop() {
        rotationListener.stop()
        stopCamera()
        super.onStop()
    }

    override fun onTopResumedActivityChanged(top: Boolean) {
        super.onTopResumedActivityChanged(top)
        if (top && source == null) startCamera()
    }

    override fun onDestroy() {
        decoding.shutdown()
        stage.onTexture = null
        if (isChangingConfigurations) host.listener = null else host.close()
        super.onDestroy()
    }

    @Deprecated("Keeps the loaded detector across configuration changes; the replacement is in AndroidX")
    override fun onRetainNonConfigurationInstance(): Any = host

    override fun onSaveInstanceState(state: Bundle) {
        super.onSaveInstanceState(state)
        state.putString(SOURCE, source?.toString())
        state.putBoolean(SHEET, stage.isSheetExpanded)
    }

    override fun onTrimMemory(level: Int) {
        super.onTrimMemory(level)
        if (level < TRIM_MEMORY_BACKGROUND) return
        // The app is in the background: free everything that can be loaded again.
        released = true
        host.release()
        image = null
        stage.clear()
    }

    override fun onStart() {
        super.onStart()
        rotationListener.start()
        if (!released) return
        released = false
        onEngineChosen()
        source?.let(::show)
    }

    @Deprecated("The replacement requires Android 13")
    override fun onBackPressed() {
        @Suppress("DEPRECATION")
        if (stage.isSheetExpanded) stage.setSheetExpanded(false) else super.onBackPressed()
    }

    // Images

    private fun showNextSample() {
        val samples = ImageSource.samples(this)
        if (samples.isEmpty()) return
        show(samples[(samples.indexOf(source) + 1) % samples.size])
    }

    private fun show(source: ImageSource) {
        stopCamera()
        this.source = source
        stage.hideMessage()
        stage.showBusy()
        decoding.execute {
            val loaded = ImageLoader.load(applicationContext, source)
            runOnUiThread { if (this.source == source && !isDestroyed) showDecoded(loaded) }
        }
    }

    private fun showDecoded(loaded: Bitmap?) {
        image = loaded
        if (loaded == null) return stage.showMessage(getString(R.string.image_unreadable), null, null)
        stage.showImage(loaded)
        stage.setCameraControls(false)
        // If no model is loaded yet, onLoaded detects.
        if (host.loaded != null) host.detect(loaded)
    }

    override fun onImage(image: Bitmap, detections: Detections) {
        if (source == null || image !== this.image) return
        stage.showDetections(detections, null)
        panel.show(detections, null)
    }

    private fun imageIntent(): Intent =
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.TIRAMISU) Intent(MediaStore.ACTION_PICK_IMAGES).setType("image/*")
        else Intent(Intent.ACTION_GET_CONTENT).addCategory(Intent.CATEGORY_OPENABLE).setType("image/*")

    private fun chooseFile(intent: Intent, request: Int) {
        try {
            startActivityForResult(intent, request)
        } catch (_: ActivityNotFoundException) {
            stage.showMessage(getString(R.string.no_picker), null, null)
        }
    }

    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        super.onActivityResult(request, result, data)
        val chosen: Uri = data?.data?.takeIf { result == RESULT_OK } ?: return
        if (request == REQUEST_IMAGE) show(ImageSource.Gallery(chosen)) else if (request == REQUEST_MODEL) importModel(chosen)
    }

    private fun share() {
        val annotated = stage.annotated(image.takeIf { source != null }) ?: return
        val send = SharedImages.send(this, annotated) ?: return stage.showMessage(getString(R.string.share_no_room), null, null)
        startActivity(Intent.createChooser(send, getString(R.string.share)))
    }

    // Camera

    private fun showCamera() {
        when (permission.state) {
            State.GRANTED -> {
                source = null
                image = null
                stage.hideMessage()
                stage.showCamera()
                stage.setCameraControls(camera.canSwitch())
                startCamera()
            }
            State.NOT_ASKED -> permission.ask()
            State.DENIED, State.PERMANENTLY_DENIED -> offerCamera()
        }
    }

    private fun startCamera() {
        if (source != null || permission.state != State.GRANTED || camera.running) return
        stage.texture?.let { camera.start(it, settings.frontCamera) }
    }

    private fun stopCamera() {
        camera.stop()
        cameraInfo = null
    }

    private fun flipCamera() {
        settings.frontCamera = !settings.frontCamera
        stopCamera()
        startCamera()
    }

    private fun offerCamera() {
        if (permission.state == State.PERMANENTLY_DENIED) stage.showMessage(getString(R.string.camera_permanently_denied), getString(R.string.open_settings), permission::openSettings)
        else stage.showMessage(getString(R.string.camera_rationale), getString(R.string.allow), permission::ask)
    }

    override fun onRequestPermissionsResult(request: Int, permissions: Array<out String>, results: IntArray) {
        super.onRequestPermissionsResult(request, permissions, results)
        // Without results the dialog was interrupted, for example by a rotation.
        if (request != CameraPermission.REQUEST || results.isEmpty()) return
        permission.onAnswered()
        if (permission.state == State.GRANTED) showCamera() else offerCamera()
    }

    override fun onCameraOpen(cameraInfo: CameraInfo) {
        this.cameraInfo = cameraInfo
        stage.hideMessage()
        updateRotation()
    }

    private fun updateRotation() {
        val cameraInfo = cameraInfo ?: return
        val displayDegrees = stage.displayDegrees
        rotation = CameraGeometry.rotation(cameraInfo.sensor, displayDegrees, cameraInfo.front)
        stage.rotatePreview(cameraInfo, displayDegrees)
    }

    override fun onFrame(image: Image) {
        val cameraInfo = cameraInfo ?: return image.close()
        host.detect(image, rotation, cameraInfo.front)
    }

    override fun onFrame(detections: Detections) {
        if (source != null) return
        stage.showDetections(detections, cameraInfo)
        panel.show(detections, stage.framesPerSecond)
    }

    override fun onCameraProblem(problem: CameraProblem) {
        cameraInfo = null
        val message = when (problem) {
            CameraProblem.NONE -> R.string.camera_none
            CameraProblem.IN_USE -> R.string.camera_in_use
            CameraProblem.DISABLED -> R.string.camera_disabled
            CameraProblem.FAILED -> R.string.camera_failed
        }
        if (problem == CameraProblem.NONE) showNextSample()
        stage.showMessage(getString(message), getString(R.string.retry).takeIf { problem != CameraProblem.NONE }) { startCamera() }
    }

    // Model and thresholds

    private fun options() = Options(threads = settings.threads, delegate = settings.delegate)

    override fun onEngineChosen() {
        val model = library.find(settings.model) ?: return stage.showMessage(getString(R.string.no_model), getString(R.string.choose_file), ::onImportChosen)
        stage.showBusy()
        host.load(model, options())
    }

    override fun onLoaded(loaded: LoadedModel) {
        settings.model = loaded.model.id
        panel.show(loaded)
        showThresholds()
        image?.let(host::detect) ?: stage.hideBusy()
    }

    override fun onModelRejected(message: String) {
        val rejected = library.find(settings.model)
        settings.model = host.loaded?.model?.id
        panel.listModels()
        stage.hideBusy()
        // No model is running: try the first model, unless it is the rejected one.
        if (host.loaded == null && library.find(null) != rejected) onEngineChosen()
        AlertDialog.Builder(this).setTitle(R.string.model_rejected).setMessage(message).setPositiveButton(android.R.string.ok, null).show()
    }

    override fun onThresholdsChosen() {
        showThresholds()
        image?.let(host::detect)
    }

    private fun showThresholds() {
        host.thresholds = Thresholds(settings.confidence, settings.iou, MAX_DETECTIONS, panel.selectedClassIds)
    }

    override fun onImportChosen() = chooseFile(Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("*/*"), REQUEST_MODEL)

    private fun importModel(from: Uri) {
        stage.showBusy()
        host.import(from, options())
    }

    override fun onAboutChosen() {
        val version = packageManager.getPackageInfo(packageName, 0).versionName
        val licenses = assets.open(LICENSES).bufferedReader().use { it.readText() }
        AlertDialog.Builder(this)
            .setTitle(getString(R.string.about_title, version, TensorFlowLite.runtimeVersion()))
            .setMessage(licenses)
            .setPositiveButton(android.R.string.ok, null)
            .show()
    }

    private companion object {
        const val SOURCE = "source"
        const val SHEET = "sheet"
        const val LICENSES = "licenses.txt"
        const val REQUEST_IMAGE = 2
        const val REQUEST_MODEL = 3
        const val MAX_DETECTIONS = 300
    }
}
