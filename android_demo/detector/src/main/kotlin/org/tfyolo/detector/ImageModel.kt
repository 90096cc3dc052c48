package org.tfyolo.detector

import android.content.Context
import android.graphics.Bitmap
import java.io.Closeable
import java.io.File

/** What a model finds in one image: [Detections] or a [Classification]. */
public sealed interface ImageResult {
    /** Width of the upright source image in pixels. */
    public val sourceWidth: Int

    /** Height of the upright source image in pixels. */
    public val sourceHeight: Int

    /** Duration of each step. */
    public val timings: Timings
}

/**
 * A model that runs on images: a [Detector] or a [Classifier], depending on the task in the file.
 *
 * For apps that open any model; otherwise, use the classes directly.
 *
 * ```
 * ImageModel.fromFile(context, file).use { model ->
 *     when (val result = model.run(bitmap)) {
 *         is Detections -> result.forEach { println("${it.label} ${it.box}") }
 *         is Classification -> println(result.top(1).first().label)
 *     }
 * }
 * ```
 */
public sealed interface ImageModel : Closeable {
    /** Metadata of the model. */
    public val description: ModelDescription

    /** The engine that runs the model, and how it was selected. */
    public val backend: Backend

    /**
     * Run the model on a bitmap.
     *
     * @param bitmap of any size and any configuration except `HARDWARE`.
     * @param rotation clockwise rotation in degrees that makes the bitmap upright: 0, 90, 180 or 270.
     * @param mirror flip the upright image left to right, as the preview of a front camera does.
     * @throws IllegalStateException if the model is closed.
     */
    public fun run(bitmap: Bitmap, rotation: Int = 0, mirror: Boolean = false): ImageResult

    /** Run the model on a camera frame; parameters and result as for a bitmap. */
    public fun run(frame: YuvFrame, rotation: Int = 0, mirror: Boolean = false): ImageResult

    public companion object {
        /**
         * Load a model from the app's assets. Keep the asset uncompressed (`androidResources { noCompress += "tflite" }`), so that
         * it is memory-mapped instead of copied.
         *
         * @param asset path relative to `assets`.
         * @throws ModelException if the file cannot be read, or its task is not supported.
         */
        public fun fromAsset(context: Context, asset: String, options: Options = Options()): ImageModel =
            open(ModelFile.ofAsset(context, asset), options)

        /** Load a model from a file. The file may be untrusted: a damaged one throws a [ModelException]. */
        public fun fromFile(context: Context, file: File, options: Options = Options()): ImageModel =
            open(ModelFile.of(context, file), options)

        internal fun open(file: ModelFile, options: Options): ImageModel {
            val metadata = readModelMetadata(file.bytes)
            val create = TASKS[taskOf(metadata)] ?: throw wrongTask(
                metadata,
                "supported tasks are ${TASKS.keys.joinToString { "`$it`" }}. Choose a model with one of these tasks.",
            )
            return create(file, options)
        }
    }
}

internal val DETECTOR_TASKS: List<String> = listOf("detect", "segment")
internal const val CLASSIFIER_TASK: String = "classify"

/** Creates the model of each task. */
private val TASKS: Map<String, (ModelFile, Options) -> ImageModel> =
    DETECTOR_TASKS.associateWith { { file: ModelFile, options: Options -> Detector(file, options) } } +
        (CLASSIFIER_TASK to { file, options -> Classifier(file, options) })
