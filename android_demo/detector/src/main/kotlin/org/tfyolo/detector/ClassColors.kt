package org.tfyolo.detector

import kotlin.math.abs
import kotlin.math.pow
import kotlin.math.roundToInt

/** The palette of the web demo and of Python's plots; white text on it has a contrast ratio of at least 4.5. */
private val PALETTE = intArrayOf(
    0x7c3aed, 0xd13a12, 0x0a6fc2, 0x0c7d55, 0xd0216a, 0x96610f, 0x0a7a86, 0x9333b5, 0x47730e, 0x7a4a2b,
)

/** Golden angle in degrees: multiples of it are spread evenly over the color wheel. */
private const val GOLDEN_ANGLE = 137.508
private const val OPAQUE = 0xff shl 24

/** Color of a class as opaque ARGB: from the palette, then hues at multiples of the golden angle. */
public fun classColor(classId: Int): Int {
    val index = abs(classId)
    if (index < PALETTE.size) return OPAQUE or PALETTE[index]
    val hue = index * GOLDEN_ANGLE % 360
    val lightness = if (index % 2 == 1) 0.38 else 0.46
    val reach = 0.72 * minOf(lightness, 1 - lightness)
    fun channel(at: Int): Int {
        val turn = (at + hue / 30) % 12
        return ((lightness - reach * maxOf(-1.0, minOf(turn - 3, 9 - turn, 1.0))) * 255).roundToInt()
    }
    return OPAQUE or (channel(0) shl 16) or (channel(8) shl 8) or channel(4)
}

/** Text color for an ARGB background: opaque black or white, whichever has the higher contrast ratio (WCAG 2). */
public fun textColor(background: Int): Int {
    val light = luminance(background) + 0.05
    return OPAQUE or if (1.05 / light >= light / 0.05) 0xffffff else 0
}

private fun luminance(color: Int): Double {
    fun linear(shift: Int): Double {
        val value = (color shr shift and 255) / 255.0
        return if (value <= 0.04045) value / 12.92 else ((value + 0.055) / 1.055).pow(2.4)
    }
    return 0.2126 * linear(16) + 0.7152 * linear(8) + 0.0722 * linear(0)
}
