package org.tfyolo.demo.images

import android.content.Context
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.Matrix
import android.media.ExifInterface
import android.net.Uri
import java.io.IOException
import java.io.InputStream

/** Where an image is from; can be written down and read again. */
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

/** Decodes images upright and no larger than a screen can show. Files are untrusted. */
object ImageLoader {
    private const val MOST_PIXELS = 4_000_000

    /** @return null if it is no image that can be read. */
    fun load(context: Context, source: ImageSource): Bitmap? =
        try {
            val size = BitmapFactory.Options().apply { inJustDecodeBounds = true }
            source.open(context)?.use { BitmapFactory.decodeStream(it, null, size) }
            val options = BitmapFactory.Options().apply { inSampleSize = sampling(size.outWidth, size.outHeight) }
            val decoded = source.open(context)?.use { BitmapFactory.decodeStream(it, null, options) }
            decoded?.let { upright(it, orientation(context, source)) }
        } catch (_: Exception) {
            // Another app's provider, which may throw what it likes.
            null
        } catch (_: OutOfMemoryError) {
            null
        }

    /** Every n-th pixel, n a power of two, until what is decoded has at most [MOST_PIXELS]. */
    internal fun sampling(width: Int, height: Int): Int {
        var every = 1
        while (width.toLong() / every * (height.toLong() / every) > MOST_PIXELS) every *= 2
        return every
    }

    private fun orientation(context: Context, source: ImageSource): Int =
        try {
            source.open(context)?.use { ExifInterface(it).getAttributeInt(ExifInterface.TAG_ORIENTATION, 0) } ?: 0
        } catch (_: IOException) {
            0
        }

    private fun upright(image: Bitmap, orientation: Int): Bitmap {
        val matrix = Matrix()
        // Degrees clockwise and whether left and right are exchanged before, by EXIF's numbers.
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
