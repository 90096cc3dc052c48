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
 * Finds objects in images with a `.tflite` file that `tfyolo export` wrote.
 *
 * All that it has to know stands in the file: names, size, type and normalization of its input, thresholds, where
 * suppression happens. Boxes come in pixels of the upright image.
 *
 * ```
 * Detector.fromAsset(context, "models/best-int8.tflite").use { detector ->
 *     for (found in detector.detect(bitmap)) println("${found.label} ${found.score} ${found.box}")
 * }
 * ```
 *
 * One image is computed at a time: methods wait for each other. Make and use a detector on one thread, which is not the
 * main thread: the graphics delegate is bound to the thread that made it, and the first start times several engines.
 */
public class Detector internal constructor(
    model: ByteBuffer,
    options: Options,
    memory: Memory,
    device: String,
    cores: Int = Runtime.getRuntime().availableProcessors(),
) : Closeable {
    private val runner: Runner
    private val reader: OutputReader
    private val preprocessor: Preprocessor
    private val bitmaps = BitmapSource()
    private var closed = false

    /** What the file says about itself. */
    public val description: ModelDescription

    /** What the network runs on, and why. */
    public val backend: Backend

    /** What is kept of what the network finds; holds from the next image on. */
    @Volatile
    public var thresholds: Thresholds

    init {
        val notes = readNotes(model)
        val key = "$device, TensorFlow Lite ${TensorFlowLite.runtimeVersion()}, model ${checksum(model)}"
        val made = EngineChoice(options, cores, memory, key) { Runner(model, it) }.make()
        runner = made.first
        backend = made.second
        try {
            description = describe(notes, runner.inputShape, runner.outputs.keys)
            reader = kindOf(runner.outputs.keys).reader(runner.outputs, description)
            preprocessor = Preprocessor(description.inputWidth, description.inputHeight, encoding(), runner.input)
        } catch (error: Throwable) {
            runner.close()
            throw error
        }
        val stored = description.defaults
        thresholds = Thresholds(
            options.scoreThreshold ?: stored.score,
            options.iouThreshold ?: stored.iou,
            options.maxResults ?: stored.maxResults,
        )
    }

    /**
     * Detect in a bitmap of any size and configuration but `HARDWARE`.
     *
     * @param rotation degrees clockwise that make it upright: 0, 90, 180 or 270.
     * @param mirror exchange left and right afterwards, as a front camera's preview does.
     * @return best first; boxes in pixels of the upright (and mirrored) image.
     * @throws IllegalStateException the detector is closed.
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

    /** Detect in a camera's image; the rest as for a bitmap. */
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
        val found = reader.read(thresholds)
        val list = List(found.size) { i ->
            val at = 4 * i
            val corners = found.boxesXyxyPx
            val label = description.labels.getOrElse(found.classes[i]) { "class ${found.classes[i]}" }
            Detection(
                box.toSource(corners[at], corners[at + 1], corners[at + 2], corners[at + 3]),
                found.classes[i], label, found.scores[i],
            )
        }
        val timings = Timings((ready - start) / 1e6f, (computed - ready) / 1e6f, (System.nanoTime() - computed) / 1e6f)
        return Detections(list, box.sourceWidth, box.sourceHeight, timings)
    }

    /** Give memory and threads back; waits for an image that is being computed. */
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
            "The model's input is ${runner.inputType}; FLOAT32, UINT8 or INT8 is expected.",
        )
    }

    public companion object {
        /**
         * Load a model from the app's assets. Keep it uncompressed (`androidResources { noCompress += "tflite" }`), so that
         * it need not be copied into memory.
         *
         * @param asset path below `assets`.
         * @throws ModelException the file cannot be read, or is no detector.
         */
        public fun fromAsset(context: Context, asset: String, options: Options = Options()): Detector =
            Detector(readAsset(context.assets, asset), options, PreferencesMemory(context), deviceName())

        /** Load a model from a file; the rest as for an asset. Untrusted files end in a [ModelException], at worst. */
        public fun fromFile(context: Context, file: File, options: Options = Options()): Detector =
            Detector(readFile(file), options, PreferencesMemory(context), deviceName())

        /** Drivers come with the system: another build of it is another device. */
        private fun deviceName() = Build.FINGERPRINT ?: "unknown"

        private fun checksum(model: ByteBuffer): String {
            // A part at a time: CRC32 takes whole buffers from Android 8 on only.
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
