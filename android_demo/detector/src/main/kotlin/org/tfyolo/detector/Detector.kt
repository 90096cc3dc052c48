package org.tfyolo.detector

import android.content.Context
import android.graphics.Bitmap
import java.io.File

/**
 * Detects objects in images with a `.tflite` model exported by `tfyolo export`; with masks if the model segments objects.
 *
 * All settings are read from the model: class names, size, type and normalization of its input, thresholds, and where NMS
 * runs. Boxes and masks are in pixels of the upright image.
 *
 * ```
 * Detector.fromAsset(context, "models/best-int8.tflite").use { detector ->
 *     for ((box, _, label, score) in detector.detect(bitmap)) println("$label $score $box")
 * }
 * ```
 *
 * Methods are synchronized: one image is processed at a time. Create and use a detector on the same background thread: the GPU
 * delegate is bound to the thread that created it, and the first start times several engines, which takes seconds.
 */
public class Detector internal constructor(
    file: ModelFile,
    options: Options,
    cores: Int = Runtime.getRuntime().availableProcessors(),
) : ImageModel {
    private val reader: OutputReader
    private val pipeline: Pipeline<Letterbox, Detections>

    override val description: DetectorDescription
    override val backend: Backend

    /** Thresholds and class filter; a change takes effect with the next image. */
    @Volatile
    public var thresholds: Thresholds

    init {
        val session = Session(file, options, cores)
        backend = session.backend
        try {
            val runner = session.runner
            description = describeDetector(session.metadata, runner.inputShape, runner.outputs.keys)
            reader = kindOf(runner.outputs.keys).reader(runner.outputs, description)
            pipeline = Pipeline(session, session.preprocessor(description, ::Letterbox), ::read)
        } catch (error: Throwable) {
            session.close()
            throw error
        }
        val defaults = description.defaults
        thresholds = Thresholds(
            options.confidenceThreshold ?: defaults.confidence,
            options.iouThreshold ?: defaults.iou,
            options.maxDetections ?: defaults.maxDetections,
        )
    }

    /**
     * Detect objects in a bitmap.
     *
     * @param bitmap of any size and any configuration except `HARDWARE`.
     * @param rotation clockwise rotation in degrees that makes the bitmap upright: 0, 90, 180 or 270.
     * @param mirror flip the upright image left to right, as the preview of a front camera does.
     * @return detections sorted by descending score; boxes in pixels of the upright (and mirrored) image.
     * @throws IllegalStateException if the detector is closed.
     */
    public fun detect(bitmap: Bitmap, rotation: Int = 0, mirror: Boolean = false): Detections = pipeline.run(bitmap, rotation, mirror)

    /** Detect objects in a camera frame; parameters and result as for a bitmap. */
    public fun detect(frame: YuvFrame, rotation: Int = 0, mirror: Boolean = false): Detections = pipeline.run(frame, rotation, mirror)

    internal fun detect(source: Source, rotation: Int, mirror: Boolean): Detections = pipeline.run(source, rotation, mirror)

    override fun run(bitmap: Bitmap, rotation: Int, mirror: Boolean): Detections = detect(bitmap, rotation, mirror)

    override fun run(frame: YuvFrame, rotation: Int, mirror: Boolean): Detections = detect(frame, rotation, mirror)

    private fun read(box: Letterbox, finish: () -> Timings): Detections {
        val arrays = reader.read(thresholds)
        val list = List(arrays.size) { i ->
            val (left, top, right, bottom) = List(4) { arrays.boxesXyxyPx[4 * i + it] }
            val classId = arrays.classIds[i]
            val label = description.classNames.getOrElse(classId) { "class $classId" }
            Detection(box.toSource(left, top, right, bottom), classId, label, arrays.scores[i], reader.mask(arrays, i, box))
        }
        return Detections(list, box.sourceWidth, box.sourceHeight, finish())
    }

    /** Free memory and threads, after the current image has been processed. */
    override fun close(): Unit = pipeline.close()

    public companion object {
        /**
         * Load a model from the app's assets. Keep the asset uncompressed (`androidResources { noCompress += "tflite" }`), so that
         * it is memory-mapped instead of copied.
         *
         * @param asset path relative to `assets`.
         * @throws ModelException if the file cannot be read, or is not a detector.
         */
        public fun fromAsset(context: Context, asset: String, options: Options = Options()): Detector =
            Detector(ModelFile.ofAsset(context, asset), options)

        /** Load a model from a file. The file may be untrusted: a damaged one throws a [ModelException]. */
        public fun fromFile(context: Context, file: File, options: Options = Options()): Detector =
            Detector(ModelFile.of(context, file), options)
    }
}
