package org.tfyolo.detector

import android.content.Context
import android.graphics.Bitmap
import java.io.File

/**
 * Classifies images with a `.tflite` model exported by `tfyolo export`.
 *
 * All settings are read from the model: class names, and size, type and normalization of its input. The model sees the center of
 * the image, [Classification.region].
 *
 * ```
 * Classifier.fromAsset(context, "models/flowers-int8.tflite").use { classifier ->
 *     for ((_, label, probability) in classifier.classify(bitmap).top(5)) println("$label $probability")
 * }
 * ```
 *
 * Methods are synchronized, and belong on the thread that created the classifier, for the reasons given at [Detector].
 */
public class Classifier internal constructor(
    file: ModelFile,
    options: Options,
    cores: Int = Runtime.getRuntime().availableProcessors(),
) : ImageModel {
    private val reader: ClassReader
    private val pipeline: Pipeline<CenterCrop, Classification>

    override val description: ClassifierDescription
    override val backend: Backend

    init {
        val session = Session(file, options, cores)
        backend = session.backend
        try {
            val runner = session.runner
            description = describeClassifier(session.metadata, runner.inputShape, runner.outputs.keys)
            reader = ClassReader(runner.outputs, description)
            pipeline = Pipeline(session, session.preprocessor(description, ::CenterCrop), ::read)
        } catch (error: Throwable) {
            session.close()
            throw error
        }
    }

    /**
     * Classify a bitmap.
     *
     * @param bitmap of any size and any configuration except `HARDWARE`.
     * @param rotation clockwise rotation in degrees that makes the bitmap upright: 0, 90, 180 or 270.
     * @param mirror flip the upright image left to right, as the preview of a front camera does.
     * @return the probability of each class.
     * @throws IllegalStateException if the classifier is closed, or the probabilities are not finite numbers.
     */
    public fun classify(bitmap: Bitmap, rotation: Int = 0, mirror: Boolean = false): Classification =
        pipeline.run(bitmap, rotation, mirror)

    /** Classify a camera frame; parameters and result as for a bitmap. */
    public fun classify(frame: YuvFrame, rotation: Int = 0, mirror: Boolean = false): Classification =
        pipeline.run(frame, rotation, mirror)

    internal fun classify(source: Source, rotation: Int, mirror: Boolean): Classification = pipeline.run(source, rotation, mirror)

    override fun run(bitmap: Bitmap, rotation: Int, mirror: Boolean): Classification = classify(bitmap, rotation, mirror)

    override fun run(frame: YuvFrame, rotation: Int, mirror: Boolean): Classification = classify(frame, rotation, mirror)

    private fun read(crop: CenterCrop, finish: () -> Timings): Classification {
        val probabilities = reader.read()
        val (left, top, width, height) = crop.part
        val region = Box(left.toFloat(), top.toFloat(), (left + width).toFloat(), (top + height).toFloat())
        return Classification(probabilities, description.classNames, region, crop.sourceWidth, crop.sourceHeight, finish())
    }

    /** Free memory and threads, after the current image has been processed. */
    override fun close(): Unit = pipeline.close()

    public companion object {
        /**
         * Load a model from the app's assets; keep the asset uncompressed, as for [Detector.fromAsset].
         *
         * @param asset path relative to `assets`.
         * @throws ModelException if the file cannot be read, or is not a classifier.
         */
        public fun fromAsset(context: Context, asset: String, options: Options = Options()): Classifier =
            Classifier(ModelFile.ofAsset(context, asset), options)

        /** Load a model from a file. The file may be untrusted: a damaged one throws a [ModelException]. */
        public fun fromFile(context: Context, file: File, options: Options = Options()): Classifier =
            Classifier(ModelFile.of(context, file), options)
    }
}
