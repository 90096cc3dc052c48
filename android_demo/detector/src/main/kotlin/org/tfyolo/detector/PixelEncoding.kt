package org.tfyolo.detector

import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.roundToInt

/**
 * Converts pixel values (0 to 255) to values of the model's input, with a lookup table.
 *
 * @property bytes size of an input value.
 */
internal class PixelEncoding private constructor(val bytes: Int, private val table: ByteArray) {
    /** Encode pixel values, each 0 to 255, into `to`. */
    fun write(pixels: IntArray, to: ByteArray) {
        if (bytes == 1) {
            for (i in pixels.indices) to[i] = table[pixels[i]]
        } else {
            for (i in pixels.indices) {
                val from = 4 * pixels[i]
                val at = 4 * i
                to[at] = table[from]
                to[at + 1] = table[from + 1]
                to[at + 2] = table[from + 2]
                to[at + 3] = table[from + 3]
            }
        }
    }

    companion object {
        /** Encoding for float inputs: `(pixel - mean) / std`. */
        fun float32(normalization: Normalization): PixelEncoding {
            val table = ByteBuffer.allocate(4 * 256).order(ByteOrder.nativeOrder())
            for (pixel in 0..255) table.putFloat((pixel - normalization.mean) / normalization.std)
            return PixelEncoding(4, table.array())
        }

        /**
         * Encoding for quantized inputs: the normalized value divided by `scale`, plus `zeroPoint`, clamped to `lowest`..`lowest + 255`.
         *
         * For uint8 models of tfyolo the scale is 1 / std, so pixels are passed through unchanged.
         */
        fun quantized(normalization: Normalization, scale: Float, zeroPoint: Int, lowest: Int): PixelEncoding {
            val table = ByteArray(256) { pixel ->
                val value = (pixel - normalization.mean) / normalization.std / scale
                (value.roundToInt() + zeroPoint).coerceIn(lowest, lowest + 255).toByte()
            }
            return PixelEncoding(1, table)
        }
    }
}
