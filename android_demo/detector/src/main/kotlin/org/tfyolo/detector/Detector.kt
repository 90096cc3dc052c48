package org.tfyolo.detector

import android.content.Context
import android.graphics.Bitmap
import android.os.Build
import java.io.Closeable
import java.io.File
import java.nio.ByteBuffer
import java.util.zip.CRC32
import org.tensorflow.lite.DataType
import org.tensorflow.lite.TensorFlowLite
import org.tfyolo.detector.ModelException.Problem

/**
 * Detects objects in images with a `.tflite` model exported by `tfyolo export`.
 *
 * All settings are read from the model: class names, size, type and normalization of its input, thresholds, and where NMS
 * runs. Boxes are in pixels of the upright image.
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
    model: ByteBuffer,
    options: Options,
    store: KeyValueStore,
    device: String,
    cores: Int = Runtime.getRuntime().availableProcessors(),
) : Closeable {
    private val runner: Runner
    private val reader: OutputReader
    private val preprocessor: Preprocessor
    private val bitmaps = BitmapSource()
    private var closed = false

    /** Metadata of the model. */
    public val description: ModelDescription

    /** The engine that runs the model, and how it was selected. */
    public val backend: Backend

    /** Thresholds and class filter; a change takes effect with the next image. */
    @Volatile
    public var thresholds: Thresholds

    init {
        val metadata = readModelMetadata(model)
        val key = "$device, TensorFlow Lite ${TensorFlowLite.runtimeVersion()}, model ${checksum(model)}"
        val (selectedRunner, selectedBackend) = EngineSelector(options, cores, store, key) { Runner(model, it) }.select()
        runner = selectedRunner
        backend = selectedBackend
        try {
            description = describe(metadata, runner.inputShape, runner.outputs.keys)
            reader = kindOf(runner.outputs.keys).reader(runner.outputs, description)
            preprocessor = Preprocessor(description.inputWidth, description.inputHeight, encoding(), runner.input)
        } catch (error: Throwable) {
            runner.close()
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
    @Synchronized
    public fun detect(bitmap: Bitmap, rotation: Int = 0, mirror: Boolean = false): Detections {
        bitmaps.set(bitmap)
        return try {
            detect(bitmaps, rotation, mirror)
        } finally {
            bitmaps.set(null)
        }
    }

    /** Detect objects in a camera frame; parameters and result as for a bitmap. */
    @Synchronized
    public fun detect(frame: YuvFrame, rotation: Int = 0, mirror: Boolean = false): Detections =
        detect(frame as Source, rotation, mirror)

    @Synchronized
    internal fun detect(source: Source, rotation: Int, mirror: Boolean): Detections {
        check(!closed) { "the detector is closed" }
        val start = System.nanoTime()
        val box = preprocessor.run(source, rotation, mirror)
        val ready = System.nanoTime()
        runner.run()
        val computed = System.nanoTime()
        val arrays = reader.read(thresholds)
        val list = List(arrays.size) { i ->
            val (left, top, right, bottom) = List(4) { arrays.boxesXyxyPx[4 * i + it] }
            val classId = arrays.classIds[i]
            val label = description.classNames.getOrElse(classId) { "class $classId" }
            Detection(box.toSource(left, top, right, bottom), classId, label, arrays.scores[i])
        }
        val timings = Timings((ready - start) / 1e6f, (computed - ready) / 1e6f, (System.nanoTime() - computed) / 1e6f)
        return Detections(list, box.sourceWidth, box.sourceHeight, timings)
    }

    /** Free memory and threads, after the current image has been processed. */
    @Synchronized
    override fun close() {
        if (!closed) runner.close()
        closed = true
    }

    private fun encoding(): PixelEncoding = when (runner.inputType) {
        DataType.FLOAT32 -> PixelEncoding.float32(description.normalization)
        DataType.UINT8 -> PixelEncoding.quantized(description.normalization, runner.inputScale, runner.inputZeroPoint, 0)
        DataType.INT8 -> PixelEncoding.quantized(description.normalization, runner.inputScale, runner.inputZeroPoint, -128)
        else -> throw ModelException(
            Problem.DOES_NOT_FIT,
            "The type of the model's input is ${runner.inputType}, but must be FLOAT32, UINT8 or INT8.",
        )
    }

    public companion object {
        /**
         * Load a model from the app's assets. Keep the asset uncompressed (`androidResources { noCompress += "tflite" }`), so that
         * it is memory-mapped instead of copied.
         *
         * @param asset path relative to `assets`.
         * @throws ModelException if the file cannot be read, or is not a detector.
         */
        public fun fromAsset(context: Context, asset: String, options: Options = Options()): Detector =
            Detector(readAsset(context.assets, asset), options, PreferencesStore(context), deviceName())

        /** Load a model from a file. The file may be untrusted: a damaged one throws a [ModelException]. */
        public fun fromFile(context: Context, file: File, options: Options = Options()): Detector =
            Detector(readFile(file), options, PreferencesStore(context), deviceName())

        /** Includes the system build, because a system update can change drivers and therefore the fastest engine. */
        private fun deviceName() = Build.FINGERPRINT ?: "unknown"

        private fun checksum(model: ByteBuffer): String {
            // In parts, because CRC32.update(ByteBuffer) requires Android 8.
            val rest = slice(model, 0, model.limit())
            val part = ByteArray(1 shl 16)
            val sum = CRC32()
            while (rest.hasRemaining()) {
                val count = minOf(part.size, rest.remaining())
                rest.get(part, 0, count)
                sum.update(part, 0, count)
            }
            return "%08x of %d bytes".format(sum.value, model.limit())
        }
    }
}
