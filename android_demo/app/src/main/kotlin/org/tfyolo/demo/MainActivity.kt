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
import org.tfyolo.demo.camera.CameraFacts
import org.tfyolo.demo.camera.CameraGeometry
import org.tfyolo.demo.camera.CameraPermission
import org.tfyolo.demo.camera.CameraPermission.State
import org.tfyolo.demo.camera.CameraProblem
import org.tfyolo.demo.camera.CameraSource
import org.tfyolo.demo.camera.DisplayTurns
import org.tfyolo.demo.detection.DetectorHost
import org.tfyolo.demo.detection.Loaded
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

/** The one screen. Ties camera, images, detector and controls together, and holds no logic of theirs. */
class MainActivity : Activity(), DetectorHost.Listener, CameraSource.Listener, ControlPanel.Listener {
    private lateinit var settings: Settings
    private lateinit var library: ModelLibrary
    private lateinit var permission: CameraPermission
    private lateinit var stage: Stage
    private lateinit var panel: ControlPanel
    private lateinit var camera: CameraSource
    private lateinit var turns: DisplayTurns
    private val decoding = Executors.newSingleThreadExecutor()

    lateinit var host: DetectorHost
        private set

    /** Null while the camera is shown. */
    private var source: ImageSource? = null
    private var image: Bitmap? = null

    /** Memory was given back while nobody looked. */
    private var released = false

    /** How frames of the camera lie; read on the detector's thread. */
    @Volatile
    private var rotation = 0

    @Volatile
    private var facts: CameraFacts? = null

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.activity_main)
        settings = Settings(this)
        library = ModelLibrary(this)
        permission = CameraPermission(this, settings)
        stage = Stage(findViewById(R.id.root))
        Insets.edgeToEdge(window, stage.root, stage::setInsets)
        panel = ControlPanel(stage.root, settings, library, this)
        @Suppress("DEPRECATION") // Its successors are libraries.
        host = lastNonConfigurationInstance as? DetectorHost ?: DetectorHost(this)
        host.listener = this
        camera = CameraSource(this, host.handler, this)
        turns = DisplayTurns(this, ::turnCamera)
        stage.onTexture = { startCamera() }
        listenToButtons()
        showThresholds()
        host.loaded?.let(::onLoaded) ?: onEngineChosen()
        stage.setSheetExpanded(savedInstanceState?.getBoolean(SHEET) ?: false)
        begin(savedInstanceState?.getString(SOURCE)?.let(ImageSource::parse), savedInstanceState != null)
    }

    private fun listenToButtons() {
        stage.onClick(R.id.camera) { showCamera() }
        stage.onClick(R.id.gallery) { chooseFile(imageIntent(), REQUEST_IMAGE) }
        stage.onClick(R.id.samples) { showNextSample() }
        stage.onClick(R.id.flip) { flipCamera() }
        stage.onClick(R.id.share) { share() }
    }

    /** The camera, or what was shown before; a sample as long as there is no camera. */
    private fun begin(stored: ImageSource?, restored: Boolean) {
        if (restored && stored != null) return show(stored)
        if (permission.state == State.GRANTED) return showCamera()
        showNextSample()
        if (permission.state == State.NOT_ASKED) permission.ask() else offerCamera()
    }

    override fun onResume() {
        super.onResume()
        // Granted in the system's settings, or given back by another app.
        if (source == null) startCamera()
    }

    override fun onPause() {
        // Beside another app the camera goes on, as long as that one does not want it.
        if (!isInMultiWindowMode) stopCamera()
        super.onPause()
    }

    override fun onStop() {
        turns.stop()
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

    @Deprecated("Of the framework's own activities, the way to keep what is costly")
    override fun onRetainNonConfigurationInstance(): Any = host

    override fun onSaveInstanceState(state: Bundle) {
        super.onSaveInstanceState(state)
        state.putString(SOURCE, source?.toString())
        state.putBoolean(SHEET, stage.isSheetExpanded)
    }

    override fun onTrimMemory(level: Int) {
        super.onTrimMemory(level)
        if (level < TRIM_MEMORY_BACKGROUND) return
        // Not seen: all of it can be had again.
        released = true
        host.release()
        image = null
        stage.clear()
    }

    override fun onStart() {
        super.onStart()
        turns.start()
        if (!released) return
        released = false
        onEngineChosen()
        source?.let(::show)
    }

    @Deprecated("Its successor begins with Android 13")
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
        // Before, onLoaded will.
        if (host.loaded != null) host.detect(loaded)
    }

    override fun onImage(image: Bitmap, found: Detections) {
        if (source == null || image !== this.image) return
        stage.showFound(found, null)
        panel.show(found, null)
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
            State.DENIED, State.DENIED_FOR_GOOD -> offerCamera()
        }
    }

    private fun startCamera() {
        if (source != null || permission.state != State.GRANTED || camera.running) return
        stage.texture?.let { camera.start(it, settings.frontCamera) }
    }

    private fun stopCamera() {
        camera.stop()
        facts = null
    }

    private fun flipCamera() {
        settings.frontCamera = !settings.frontCamera
        stopCamera()
        startCamera()
    }

    private fun offerCamera() {
        if (permission.state == State.DENIED_FOR_GOOD) stage.showMessage(getString(R.string.camera_denied_for_good), getString(R.string.open_settings), permission::openSettings)
        else stage.showMessage(getString(R.string.camera_rationale), getString(R.string.allow), permission::ask)
    }

    override fun onRequestPermissionsResult(request: Int, permissions: Array<out String>, results: IntArray) {
        super.onRequestPermissionsResult(request, permissions, results)
        // No results: the question was interrupted, by a rotation for one.
        if (request != CameraPermission.REQUEST || results.isEmpty()) return
        permission.answered()
        if (permission.state == State.GRANTED) showCamera() else offerCamera()
    }

    override fun onCameraOpen(facts: CameraFacts) {
        this.facts = facts
        stage.hideMessage()
        turnCamera()
    }

    private fun turnCamera() {
        val facts = facts ?: return
        val turned = stage.displayDegrees
        rotation = CameraGeometry.rotation(facts.sensor, turned, facts.front)
        stage.turnPreview(facts, turned)
    }

    override fun onFrame(image: Image) {
        val facts = facts ?: return image.close()
        host.detect(image, rotation, facts.front)
    }

    override fun onFrame(found: Detections) {
        if (source != null) return
        stage.showFound(found, facts)
        panel.show(found, stage.framesPerSecond)
    }

    override fun onCameraProblem(problem: CameraProblem) {
        facts = null
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

    override fun onLoaded(loaded: Loaded) {
        settings.model = loaded.model.id
        panel.show(loaded)
        showThresholds()
        image?.let(host::detect) ?: stage.hideBusy()
    }

    override fun onModelRefused(message: String) {
        val refused = library.find(settings.model)
        settings.model = host.loaded?.model?.id
        panel.listModels()
        stage.hideBusy()
        // Nothing ran before: the first model has to do, unless it is that one.
        if (host.loaded == null && library.find(null) != refused) onEngineChosen()
        AlertDialog.Builder(this).setTitle(R.string.model_refused).setMessage(message).setPositiveButton(android.R.string.ok, null).show()
    }

    override fun onThresholdsChosen() {
        showThresholds()
        image?.let(host::detect)
    }

    private fun showThresholds() {
        host.thresholds = Thresholds(settings.score, settings.iou, MOST_RESULTS, panel.chosenClasses)
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
        const val MOST_RESULTS = 300
    }
}
