package org.tfyolo.detector

import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.roundToInt

/**
 * A pixel's value in the network's input: a table of what each of 0 to 255 becomes.
 *
 * @property bytes of a value.
 */
internal class PixelEncoding private constructor(val bytes: Int, private val table: ByteArray) {
    /** Write pixels, 0 to 255 each, one value after the other. */
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
        /** `(pixel - mean) / std`. */
        fun float32(normalization: Normalization): PixelEncoding {
            val table = ByteBuffer.allocate(4 * 256).order(ByteOrder.nativeOrder())
            for (pixel in 0..255) table.putFloat((pixel - normalization.mean) / normalization.std)
            return PixelEncoding(4, table.array())
        }

        /**
         * The same, quantized: `value / scale + zeroPoint`, from `lowest` to `lowest + 255`.
         *
         * A file that takes the camera's bytes has a scale of 1 / std and so changes nothing.
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
