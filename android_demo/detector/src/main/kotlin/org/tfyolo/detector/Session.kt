package org.tfyolo.detector

import java.io.Closeable
import java.nio.ByteBuffer
import java.util.zip.CRC32
import org.tensorflow.lite.DataType
import org.tensorflow.lite.TensorFlowLite
import org.tfyolo.detector.ModelException.Problem

/** A model file that is loaded into the fastest engine, or the requested one. */
internal class Session(file: ModelFile, options: Options, cores: Int) : Closeable {
    val metadata: ModelMetadata = readModelMetadata(file.bytes)
    val runner: Runner
    val backend: Backend

    init {
        val key = "${file.device}, TensorFlow Lite ${TensorFlowLite.runtimeVersion()}, model ${checksum(file.bytes)}"
        val (selectedRunner, selectedBackend) = EngineSelector(options, cores, file.store, key) { Runner(file.bytes, it) }.select()
        runner = selectedRunner
        backend = selectedBackend
    }

    /** Create the preprocessor that fills the model's input. */
    fun <P : Placement> preprocessor(description: ModelDescription, place: (Int, Int, Int, Int) -> P): Preprocessor<P> =
        Preprocessor(description.inputWidth, description.inputHeight, encoding(description.normalization), runner.input, place)

    private fun encoding(normalization: Normalization): PixelEncoding = when (runner.inputType) {
        DataType.FLOAT32 -> PixelEncoding.float32(normalization)
        DataType.UINT8 -> PixelEncoding.quantized(normalization, runner.inputScale, runner.inputZeroPoint, 0)
        DataType.INT8 -> PixelEncoding.quantized(normalization, runner.inputScale, runner.inputZeroPoint, -128)
        else -> throw ModelException(
            Problem.DOES_NOT_FIT,
            "The type of the model's input is ${runner.inputType}, but must be FLOAT32, UINT8 or INT8.",
        )
    }

    override fun close() = runner.close()

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
