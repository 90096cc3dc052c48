package org.tfyolo.demo.ui

import android.app.AlertDialog
import android.content.Context
import android.view.View
import android.widget.AdapterView
import android.widget.ArrayAdapter
import android.widget.Button
import android.widget.SeekBar
import android.widget.Spinner
import android.widget.Switch
import android.widget.TextView
import kotlin.math.roundToInt
import org.tfyolo.demo.R
import org.tfyolo.demo.Settings
import org.tfyolo.demo.inference.LoadedModel
import org.tfyolo.demo.models.Model
import org.tfyolo.demo.models.ModelLibrary
import org.tfyolo.detector.ClassifierDescription
import org.tfyolo.detector.Delegate
import org.tfyolo.detector.DetectorDescription
import org.tfyolo.detector.ModelDescription
import org.tfyolo.detector.Timings

/** The controls in the sheet. Changes are stored in the settings and reported to the listener. */
class ControlPanel(private val root: View, private val settings: Settings, private val library: ModelLibrary, private val listener: Listener) {
    interface Listener {
        /** Model, threads or delegate changed: the model must be loaded again. */
        fun onEngineChosen()

        /** Thresholds, classes or the display of masks changed: they take effect with the next image. */
        fun onDisplayChosen()

        fun onImportChosen()

        fun onAboutChosen()
    }

    private val context: Context = root.context
    private val models: Spinner = root.findViewById(R.id.model)
    private val remove: Button = root.findViewById(R.id.remove_model)
    private val classes: Button = root.findViewById(R.id.classes)
    private val masks: Switch = root.findViewById(R.id.masks)
    private var listed: List<Model> = emptyList()
    private var classNames: List<String> = emptyList()

    /** IDs of the selected classes; null for all. */
    var selectedClassIds: Set<Int>? = null
        private set

    init {
        val threads = listOf(null, 1, 2, 4).filter { it == null || it <= maxOf(Runtime.getRuntime().availableProcessors(), 2) }
        choice(R.id.threads, R.string.threads, threads, settings.threads, { it?.toString() ?: text(R.string.automatic) }) { settings.threads = it }
        choice(R.id.delegate, R.string.delegate, Delegate.entries, settings.delegate, ::nameOf) { settings.delegate = it }
        threshold(R.id.confidence, R.id.confidence_value, settings.confidence) { settings.confidence = it }
        threshold(R.id.iou, R.id.iou_value, settings.iou) { settings.iou = it }
        masks.isChecked = settings.masks
        masks.setOnCheckedChangeListener { _, checked ->
            settings.masks = checked
            listener.onDisplayChosen()
        }
        classes.setOnClickListener { chooseClasses() }
        remove.setOnClickListener { removeModel() }
        root.findViewById<View>(R.id.about).setOnClickListener { listener.onAboutChosen() }
        listModels()
    }

    /** Update the list of models and select the current one. */
    fun listModels() {
        listed = library.all()
        val names = listed.map { it.title(context) } + text(R.string.choose_file)
        fill(models, R.string.model, names, listed.indexOf(library.find(settings.model)).coerceAtLeast(0)) { at ->
            if (at == listed.size) {
                models.setSelection(listed.indexOf(library.find(settings.model)).coerceAtLeast(0))
                listener.onImportChosen()
            } else if (listed[at].id != library.find(settings.model)?.id) {
                settings.model = listed[at].id
                listener.onEngineChosen()
            }
        }
        remove.visibility = if (library.find(settings.model) is Model.Imported) View.VISIBLE else View.GONE
    }

    fun show(loaded: LoadedModel) {
        classNames = loaded.description.classNames
        // If the model has none of the stored classes, all are selected: otherwise nothing would be detected.
        val storedNames = settings.classNames
        selectedClassIds = classNames.indices.filter { storedNames == null || classNames[it] in storedNames }.toSet()
            .takeIf { storedNames != null && it.size < classNames.size && (it.isNotEmpty() || storedNames.isEmpty()) }
        showClasses()
        root.findViewById<TextView>(R.id.backend).text = ResultText.backend(context.resources, loaded.backend)
        showControlsOf(loaded.description)
        listModels()
    }

    /** Show only the controls that have an effect on this kind of model. */
    private fun showControlsOf(model: ModelDescription) {
        val facts = root.findViewById<TextView>(R.id.model_facts)
        val common = arrayOf<Any>(model.name, model.inputWidth, model.inputHeight, model.precision)
        facts.text = when (model) {
            is DetectorDescription -> context.getString(R.string.model_facts, *common, model.nms)
            is ClassifierDescription -> context.getString(R.string.classifier_facts, *common)
        }
        root.findViewById<View>(R.id.detector_controls).visibility = if (model is DetectorDescription) View.VISIBLE else View.GONE
        masks.visibility = if (model is DetectorDescription && model.hasMasks) View.VISIBLE else View.GONE
    }

    fun show(timings: Timings, framesPerSecond: Float?) {
        root.findViewById<TextView>(R.id.timings).text = ResultText.timings(context.resources, timings, framesPerSecond)
    }

    private fun nameOf(delegate: Delegate): String = when (delegate) {
        Delegate.AUTO -> text(R.string.automatic)
        Delegate.CPU -> text(R.string.cpu)
        Delegate.GPU -> text(R.string.gpu)
    }

    private fun <T> choice(id: Int, label: Int, values: List<T>, now: T, name: (T) -> String, store: (T) -> Unit) {
        var last = values.indexOf(now).coerceAtLeast(0)
        fill(root.findViewById(id), label, values.map(name), last) { at ->
            if (at == last) return@fill
            last = at
            store(values[at])
            listener.onEngineChosen()
        }
    }

    private fun fill(spinner: Spinner, label: Int, names: List<String>, now: Int, chosen: (Int) -> Unit) {
        spinner.onItemSelectedListener = null
        spinner.adapter = ArrayAdapter(context, R.layout.spinner_item, names).apply { setDropDownViewResource(android.R.layout.simple_spinner_dropdown_item) }
        spinner.setSelection(now, false)
        // A description hides the chosen item from screen readers, so it says both.
        fun describe(at: Int) = context.getString(R.string.choice_of, text(label), names[at]).let { spinner.contentDescription = it }
        describe(now)
        spinner.onItemSelectedListener = object : AdapterView.OnItemSelectedListener {
            override fun onItemSelected(parent: AdapterView<*>?, view: View?, position: Int, id: Long) {
                describe(position)
                chosen(position)
            }

            override fun onNothingSelected(parent: AdapterView<*>?) = Unit
        }
    }

    private fun threshold(id: Int, shown: Int, now: Float, store: (Float) -> Unit) {
        val bar = root.findViewById<SeekBar>(id)
        val value = root.findViewById<TextView>(shown)
        bar.max = STEPS
        bar.progress = (now * STEPS).roundToInt()
        value.text = ResultText.percent(now)
        bar.setOnSeekBarChangeListener(object : SeekBar.OnSeekBarChangeListener {
            override fun onProgressChanged(bar: SeekBar, progress: Int, fromUser: Boolean) {
                store(progress / STEPS.toFloat())
                value.text = ResultText.percent(progress / STEPS.toFloat())
                listener.onDisplayChosen()
            }

            override fun onStartTrackingTouch(bar: SeekBar) = Unit

            override fun onStopTrackingTouch(bar: SeekBar) = Unit
        })
    }

    private fun chooseClasses() {
        val checked = BooleanArray(classNames.size) { selectedClassIds?.contains(it) ?: true }
        AlertDialog.Builder(context)
            .setTitle(R.string.classes)
            .setMultiChoiceItems(classNames.toTypedArray(), checked) { _, at, on -> checked[at] = on }
            .setPositiveButton(android.R.string.ok) { _, _ -> setClasses(checked.indices.filter { checked[it] }.toSet()) }
            .setNeutralButton(R.string.all_classes) { _, _ -> setClasses(classNames.indices.toSet()) }
            .setNegativeButton(android.R.string.cancel, null)
            .show()
    }

    private fun setClasses(chosen: Set<Int>) {
        selectedClassIds = chosen.takeIf { it.size < classNames.size }
        settings.classNames = selectedClassIds?.map { classNames[it] }?.toSet()
        showClasses()
        listener.onDisplayChosen()
    }

    private fun showClasses() {
        val chosen = selectedClassIds
        classes.text = if (chosen == null) text(R.string.all_classes) else chosen.joinToString { classNames[it] }.ifEmpty { text(R.string.no_classes) }
        classes.isEnabled = classNames.isNotEmpty()
    }

    private fun removeModel() {
        val model = library.find(settings.model) as? Model.Imported ?: return
        library.remove(model)
        settings.model = null
        listModels()
        listener.onEngineChosen()
    }

    private fun text(id: Int): String = context.getString(id)

    private companion object {
        const val STEPS = 100
    }
}
