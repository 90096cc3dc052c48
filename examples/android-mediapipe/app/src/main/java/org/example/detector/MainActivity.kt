package org.example.detector

import android.app.Activity
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.ImageDecoder
import android.graphics.Paint
import android.net.Uri
import android.os.Build
import android.os.Bundle
import android.view.ViewGroup.LayoutParams
import android.widget.Button
import android.widget.ImageView
import android.widget.LinearLayout
import android.widget.TextView
import java.util.concurrent.Executors

class MainActivity : Activity() {
    private val worker = Executors.newSingleThreadExecutor()
    private val opened = lazy { PhotoDetector(this) } // opened and used on the worker's thread
    private val detector by opened
    private lateinit var picture: ImageView
    private lateinit var message: TextView

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        picture = ImageView(this).apply { adjustViewBounds = true }
        message = TextView(this)
        val choose = Button(this).apply {
            setText(R.string.choose)
            setOnClickListener {
                startActivityForResult(Intent(Intent.ACTION_GET_CONTENT).setType("image/*"), CHOOSE)
            }
        }
        val layout = LinearLayout(this).apply {
            orientation = LinearLayout.VERTICAL
            fitsSystemWindows = true
            addView(choose)
            addView(message)
            addView(picture, LayoutParams.MATCH_PARENT, LayoutParams.WRAP_CONTENT)
        }
        setContentView(layout)
    }

    override fun onActivityResult(requestCode: Int, resultCode: Int, data: Intent?) {
        super.onActivityResult(requestCode, resultCode, data)
        val uri = data?.data ?: return
        worker.execute {
            val shown = runCatching {
                val photo = read(uri)
                val start = System.nanoTime()
                val detections = detector.detect(photo)
                val milliseconds = (System.nanoTime() - start) / 1_000_000
                draw(photo, detections) to "${detections.size} detections in $milliseconds ms"
            }
            runOnUiThread {
                shown.onSuccess { (bitmap, text) ->
                    picture.setImageBitmap(bitmap)
                    message.text = text
                }.onFailure { message.text = it.toString() }
            }
        }
    }

    override fun onDestroy() {
        worker.execute { if (opened.isInitialized()) detector.close() }
        worker.shutdown()
        super.onDestroy()
    }

    /** Decode a photo; on Android 9 and newer with its EXIF orientation. */
    private fun read(uri: Uri): Bitmap {
        if (Build.VERSION.SDK_INT < 28) {
            return contentResolver.openInputStream(uri)!!.use { BitmapFactory.decodeStream(it) }
        }
        return ImageDecoder.decodeBitmap(ImageDecoder.createSource(contentResolver, uri)) { decoder, _, _ ->
            decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE // a Canvas cannot draw hardware bitmaps
        }
    }

    private fun draw(photo: Bitmap, detections: List<Detection>): Bitmap {
        val copy = photo.copy(Bitmap.Config.ARGB_8888, true)
        val canvas = Canvas(copy)
        val paint = Paint().apply {
            color = Color.GREEN
            strokeWidth = maxOf(photo.width / 320f, 2f)
            textSize = maxOf(photo.width / 40f, 12f)
        }
        for ((name, score, box) in detections) {
            paint.style = Paint.Style.STROKE
            canvas.drawRect(box, paint)
            paint.style = Paint.Style.FILL
            canvas.drawText("$name %.2f".format(score), box.left, maxOf(box.top - 4, paint.textSize), paint)
        }
        return copy
    }

    private companion object {
        const val CHOOSE = 1
    }
}
