package org.tfyolo.demo.models

import android.app.Activity
import android.app.AlertDialog
import android.net.Uri
import org.tensorflow.lite.TensorFlowLite
import org.tfyolo.demo.FilePicker
import org.tfyolo.demo.R
import org.tfyolo.demo.Settings
import org.tfyolo.demo.images.ImageController
import org.tfyolo.demo.inference.LoadedModel
import org.tfyolo.demo.inference.ModelHost
import org.tfyolo.demo.ui.ControlPanel
import org.tfyolo.demo.ui.Stage
import org.tfyolo.detector.Options
import org.tfyolo.detector.Thresholds

/** Loads the model that the user selects, and applies the settings of the control panel. */
class ModelController(
    private val activity: Activity,
    private val settings: Settings,
    private val stage: Stage,
    private val host: ModelHost,
    private val images: ImageController,
    private val picker: FilePicker,
) : ControlPanel.Listener {
    private val library = ModelLibrary(activity)

    val panel = ControlPanel(stage.root, settings, library, this)

    init {
        picker.onModel(::import)
        applySettings()
    }

    private fun options() = Options(threads = settings.threads, delegate = settings.delegate)

    override fun onEngineChosen() {
        val model = library.find(settings.model) ?: return stage.showMessage(activity.getString(R.string.no_model), activity.getString(R.string.choose_file), ::onImportChosen)
        stage.showBusy()
        host.load(model, options())
    }

    /** Load the selected model, unless it has been loaded before the activity was recreated. */
    fun start() = host.loaded?.let(::onLoaded) ?: onEngineChosen()

    fun onLoaded(loaded: LoadedModel) {
        settings.model = loaded.model.id
        panel.show(loaded)
        applySettings()
        if (!images.run()) stage.hideBusy()
    }

    fun onModelRejected(message: String) {
        val rejected = library.find(settings.model)
        settings.model = host.loaded?.model?.id
        panel.listModels()
        stage.hideBusy()
        // No model is running: try the first model, unless it is the rejected one.
        if (host.loaded == null && library.find(null) != rejected) onEngineChosen()
        AlertDialog.Builder(activity).setTitle(R.string.model_rejected).setMessage(message).setPositiveButton(android.R.string.ok, null).show()
    }

    override fun onDisplayChosen() {
        applySettings()
        images.run()
    }

    private fun applySettings() {
        host.thresholds = Thresholds(settings.confidence, settings.iou, MAX_DETECTIONS, panel.selectedClassIds)
        host.drawMasks = settings.masks
    }

    override fun onImportChosen() = picker.chooseModel()

    private fun import(from: Uri) {
        stage.showBusy()
        host.import(from, options())
    }

    override fun onAboutChosen() {
        val version = activity.packageManager.getPackageInfo(activity.packageName, 0).versionName
        val licenses = activity.assets.open(LICENSES).bufferedReader().use { it.readText() }
        AlertDialog.Builder(activity)
            .setTitle(activity.getString(R.string.about_title, version, TensorFlowLite.runtimeVersion()))
            .setMessage(licenses)
            .setPositiveButton(android.R.string.ok, null)
            .show()
    }

    private companion object {
        const val LICENSES = "licenses.txt"
        const val MAX_DETECTIONS = 300
    }
}
