package org.example.detector

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.graphics.RectF
import com.google.mediapipe.framework.image.BitmapImageBuilder
import com.google.mediapipe.tasks.core.BaseOptions
import com.google.mediapipe.tasks.vision.core.RunningMode
import com.google.mediapipe.tasks.vision.objectdetector.ObjectDetector
import com.google.mediapipe.tasks.vision.objectdetector.ObjectDetector.ObjectDetectorOptions

data class Detection(val name: String, val score: Float, val box: RectF)

/** MediaPipe's detector, with images padded to a square first: it would stretch them to the square input. */
class PhotoDetector(context: Context) : AutoCloseable {
    private val detector = ObjectDetector.createFromOptions(
        context,
        ObjectDetectorOptions.builder()
            .setBaseOptions(BaseOptions.builder().setModelAssetPath("best.tflite").build())
            .setRunningMode(RunningMode.IMAGE)
            .setScoreThreshold(0.25f)
            .build(),
    )

    /** Detect objects; boxes are in pixels of the photo. */
    fun detect(photo: Bitmap): List<Detection> {
        val side = maxOf(photo.width, photo.height)
        val left = (side - photo.width) / 2
        val top = (side - photo.height) / 2
        val square = Bitmap.createBitmap(side, side, Bitmap.Config.ARGB_8888)
        Canvas(square).apply {
            drawColor(Color.rgb(114, 114, 114))
            drawBitmap(photo, left.toFloat(), top.toFloat(), Paint())
        }
        return detector.detect(BitmapImageBuilder(square).build()).detections().map { found ->
            val category = found.categories().first()
            val box = RectF(found.boundingBox()).apply { offset(-left.toFloat(), -top.toFloat()) }
            box.intersect(0f, 0f, photo.width.toFloat(), photo.height.toFloat())
            Detection(category.categoryName(), category.score(), box)
        }
    }

    override fun close() = detector.close()
}
