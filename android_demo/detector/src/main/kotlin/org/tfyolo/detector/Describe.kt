package org.tfyolo.detector

import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject
import org.tfyolo.detector.ModelException.Problem

private const val MOST_SIDE = 8192

/**
 * The description of a model, from what stands in its file and what its tensors are.
 *
 * Labels, normalization and thresholds may come from plain TFLite metadata; only raw heads cannot do without tfyolo.json,
 * which knows their anchors.
 *
 * @param inputShape of the network's only input.
 * @param outputs names of its outputs.
 * @throws ModelException the two do not fit, or are of no detector.
 */
internal fun describe(notes: FileNotes, inputShape: List<Int>, outputs: Collection<String>): ModelDescription {
    val contract = notes.contract
    val task = contract?.optString("task", "detect") ?: "detect"
    if (task != "detect") {
        val shown = task.filter { it.isLetterOrDigit() || it in " -_" }.take(40)
        throw ModelException(Problem.WRONG_TASK, "This model does `$shown`, and this is a detector. Choose a model of the task `detect`.")
    }
    val kind = kindOf(outputs)
    if (notes.labels.isEmpty() || (kind.suppression == "raw" && contract == null)) {
        throw ModelException(
            Problem.NO_DESCRIPTION,
            "This TensorFlow Lite model does not say what it detects, or its end is missing. " +
                "Write it with `tfyolo export --include tflite`.",
        )
    }
    if (inputShape.size != 4 || inputShape[0] != 1 || inputShape[3] != 3 || inputShape.any { it !in 1..MOST_SIDE }) {
        throw ModelException(
            Problem.DOES_NOT_FIT,
            "The model's input should be one RGB image, 1 x height x width x 3, and is ${inputShape.joinToString(" x ")}.",
        )
    }
    return try {
        fromParts(notes, inputShape, kind, contract ?: JSONObject())
    } catch (error: JSONException) {
        throw ModelException(Problem.NO_DESCRIPTION, "The model's $CONTRACT is damaged (${error.message}). Export it again.", error)
    }
}

private const val CONTRACT = "tfyolo.json"

private fun fromParts(notes: FileNotes, inputShape: List<Int>, kind: OutputKind, contract: JSONObject): ModelDescription {
    val (_, height, width) = inputShape
    contract.optJSONArray("image_size")?.let { size ->
        if (size.getInt(0) != height || size.getInt(1) != width) {
            throw ModelException(
                Problem.DOES_NOT_FIT,
                "The model's input is $height x $width, and its $CONTRACT says ${size.getInt(0)} x ${size.getInt(1)}. Export it again.",
            )
        }
    }
    val export = contract.optJSONObject("export") ?: JSONObject()
    val stored = Thresholds(
        export.optDouble("conf_thres", notes.scoreThreshold?.toDouble() ?: 0.25).toFloat(),
        export.optDouble("iou_thres", 0.45).toFloat(),
        export.optInt("max_det", 100),
    )
    val inFile = kind.suppression == KINDS.first().suppression
    val anchors = contract.optJSONArray("anchors_px")?.map { row -> getJSONArray(row).map { getDouble(it).toFloat() } }.orEmpty()
    val strides = contract.optJSONArray("strides")?.map { getInt(it) }.orEmpty()
    if (anchors.size != strides.size || anchors.any { it.size % 2 != 0 } || strides.any { it < 1 }) {
        throw ModelException(
            Problem.NO_DESCRIPTION,
            "The model's $CONTRACT has anchors for ${anchors.size} scales and strides for ${strides.size}. Export it again.",
        )
    }
    return ModelDescription(
        name = contract.optJSONObject("config")?.optString("name").orEmpty().ifEmpty { notes.name ?: "YOLOv5" },
        labels = notes.labels,
        inputWidth = width,
        inputHeight = height,
        precision = export.optString("precision", "float32"),
        suppression = if (inFile) export.optString("nms", "builtin") else kind.suppression,
        inside = stored.takeIf { inFile },
        // A file that leaves suppression to the app names no thresholds of its own, or YOLOv5's.
        defaults = stored,
        normalization = notes.normalization ?: Normalization(0f, 255f),
        anchorsPx = anchors,
        strides = strides,
    )
}

private fun <T> JSONArray.map(element: JSONArray.(Int) -> T): List<T> = List(length()) { element(it) }
