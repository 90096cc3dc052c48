package org.tfyolo.detector

import java.nio.ByteBuffer
import org.tensorflow.lite.DataType
import org.tfyolo.detector.ModelException.Problem

/**
 * One output tensor of the model.
 *
 * @property name in the model's signature.
 * @property shape with a leading batch dimension of 1.
 * @property buffer the tensor as TensorFlow Lite writes it.
 * @param scale of quantized values; 0 for unsigned integers that are not quantized, which stand for 0 to 1 in steps of 1/255.
 * @throws ModelException if the type is not supported.
 */
internal class Output(
    val name: String,
    val shape: List<Int>,
    private val type: DataType,
    val buffer: ByteBuffer,
    private val scale: Float,
    private val zeroPoint: Int,
) {
    private val size = shape.fold(1, Int::times)
    private val floats = buffer.asFloatBuffer()
    private val dequantized: FloatArray
    private var decoded: FloatArray? = null

    init {
        if (type !in TYPES) {
            throw ModelException(Problem.DOES_NOT_FIT, "The type of the model's output `$name` is $type, but must be one of $TYPES.")
        }
        dequantized = if (type == DataType.FLOAT32) FloatArray(0) else FloatArray(256) { dequantize(it) }
    }

    /** All values, row by row; decoded after every run, from the first access on: masks are large, and only read in parts. */
    val values: FloatArray
        get() = decoded ?: FloatArray(size).also {
            decoded = it
            update()
        }

    /** Decode [values] after a run. */
    fun update() {
        decoded?.let { read(0, size, it, 0) }
    }

    /** Decode `count` values from index `from` on into `to`, from index `at` on. */
    fun read(from: Int, count: Int, to: FloatArray, at: Int) {
        if (type == DataType.FLOAT32) {
            seek(floats, from)
            floats.get(to, at, count)
        } else {
            for (i in 0 until count) to[at + i] = dequantized[buffer.get(from + i).toInt() and 255]
        }
    }

    /** True if all values are finite numbers. */
    fun isFinite(): Boolean = type != DataType.FLOAT32 || (0 until size).all { floats.get(it).isFinite() }

    private fun dequantize(byte: Int): Float {
        val value = if (type == DataType.INT8) byte.toByte().toInt() else byte
        return if (type == DataType.UINT8 && scale == 0f) value / 255f else (value - zeroPoint) * scale
    }

    private companion object {
        val TYPES = listOf(DataType.FLOAT32, DataType.UINT8, DataType.INT8)
    }
}
