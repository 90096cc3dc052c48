package org.tfyolo.detector

/** A rectangle in whole pixels. */
internal data class Region(val left: Int, val top: Int, val width: Int, val height: Int)

/** How an image is placed in the model's input: which part of it is resized, to which part of the input. */
internal interface Placement {
    /** Width of the upright image in pixels. */
    val sourceWidth: Int

    /** Height of the upright image in pixels. */
    val sourceHeight: Int

    /** The part of the input that shows the image; the rest is padding. */
    val target: Region

    /** The resized rows of `target`. */
    fun rows(upright: Upright): ResizedRows
}

/** Rows of a resized image, computed one at a time; requested from top to bottom. */
internal interface ResizedRows {
    /** Row y as R, G, B, R, G, B, ... of 0 to 255; the array is reused for the next row. */
    fun row(y: Int): IntArray

    /** Discard what belongs to the previous image. */
    fun invalidate()
}
