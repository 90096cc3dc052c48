package org.tfyolo.demo.images

import android.content.Context
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.Matrix
import android.media.ExifInterface
import android.net.Uri
import java.io.IOException
import java.io.InputStream

/** Source of an image; converted to text with toString() and back with [parse]. */
sealed class ImageSource {
    abstract fun open(context: Context): InputStream?

    data class Sample(val name: String) : ImageSource() {
        override fun open(context: Context): InputStream = context.assets.open("$SAMPLES/$name")

        override fun toString(): String = "sample:$name"
    }

    data class Gallery(val uri: Uri) : ImageSource() {
        override fun open(context: Context): InputStream? = context.contentResolver.openInputStream(uri)

        override fun toString(): String = "uri:$uri"
    }

    companion object {
        private const val SAMPLES = "samples"

        fun parse(text: String): ImageSource? = when {
            text.startsWith("sample:") -> Sample(text.removePrefix("sample:"))
            text.startsWith("uri:") -> Gallery(Uri.parse(text.removePrefix("uri:")))
            else -> null
        }

        fun samples(context: Context): List<Sample> = try {
            context.assets.list(SAMPLES).orEmpty().sorted().map(::Sample)
        } catch (_: IOException) {
            emptyList()
        }
    }
}

/** Decodes images upright (EXIF) and downscaled to at most [MAX_PIXELS] pixels. Files are untrusted. */
object ImageLoader {
    private const val MAX_PIXELS = 4_000_000

    /** Decode an image. @return null if it cannot be decoded. */
    fun load(context: Context, source: ImageSource): Bitmap? =
        try {
            val size = BitmapFactory.Options().apply { inJustDecodeBounds = true }
            source.open(context)?.use { BitmapFactory.decodeStream(it, null, size) }
            val options = BitmapFactory.Options().apply { inSampleSize = sampling(size.outWidth, size.outHeight) }
            val decoded = source.open(context)?.use { BitmapFactory.decodeStream(it, null, options) }
            decoded?.let { upright(it, orientation(context, source)) }
        } catch (_: Exception) {
            // The content provider of another app may throw any exception.
            null
        } catch (_: OutOfMemoryError) {
            null
        }

    /** Sampling factor, a power of two, with which the decoded image has at most [MAX_PIXELS] pixels. */
    internal fun sampling(width: Int, height: Int): Int {
        var factor = 1
        while (width.toLong() / factor * (height.toLong() / factor) > MAX_PIXELS) factor *= 2
        return factor
    }

    private fun orientation(context: Context, source: ImageSource): Int =
        try {
            source.open(context)?.use { ExifInterface(it).getAttributeInt(ExifInterface.TAG_ORIENTATION, 0) } ?: 0
        } catch (_: IOException) {
            0
        }

    private fun upright(image: Bitmap, orientation: Int): Bitmap {
        val matrix = Matrix()
        // EXIF orientation: an optional horizontal flip, then a clockwise rotation.
        when (orientation) {
            ExifInterface.ORIENTATION_FLIP_HORIZONTAL -> matrix.setScale(-1f, 1f)
            ExifInterface.ORIENTATION_ROTATE_180 -> matrix.setRotate(180f)
            ExifInterface.ORIENTATION_FLIP_VERTICAL -> matrix.setScale(1f, -1f)
            ExifInterface.ORIENTATION_TRANSPOSE -> matrix.apply { setScale(-1f, 1f); postRotate(270f) }
            ExifInterface.ORIENTATION_ROTATE_90 -> matrix.setRotate(90f)
            ExifInterface.ORIENTATION_TRANSVERSE -> matrix.apply { setScale(-1f, 1f); postRotate(90f) }
            ExifInterface.ORIENTATION_ROTATE_270 -> matrix.setRotate(270f)
            else -> return image
        }
        return Bitmap.createBitmap(image, 0, 0, image.width, image.height, matrix, true)
    }
}
