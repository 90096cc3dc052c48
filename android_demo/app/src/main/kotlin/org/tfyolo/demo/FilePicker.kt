package org.tfyolo.demo

import android.app.Activity
import android.content.ActivityNotFoundException
import android.content.Intent
import android.net.Uri
import android.os.Build
import android.provider.MediaStore

/** Lets the user choose a file in another app; the activity passes the results of activities to [onResult]. */
class FilePicker(private val activity: Activity, private val onMissing: () -> Unit) {
    private val pending = HashMap<Int, (Uri) -> Unit>()

    /** Register what happens with a chosen image; again after a recreation of the activity. */
    fun onImage(use: (Uri) -> Unit) {
        pending[REQUEST_IMAGE] = use
    }

    /** Register what happens with a chosen model. */
    fun onModel(use: (Uri) -> Unit) {
        pending[REQUEST_MODEL] = use
    }

    fun chooseImage() = choose(
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.TIRAMISU) Intent(MediaStore.ACTION_PICK_IMAGES).setType("image/*")
        else Intent(Intent.ACTION_GET_CONTENT).addCategory(Intent.CATEGORY_OPENABLE).setType("image/*"),
        REQUEST_IMAGE,
    )

    fun chooseModel() = choose(Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("*/*"), REQUEST_MODEL)

    fun onResult(request: Int, result: Int, data: Intent?) {
        val chosen = data?.data?.takeIf { result == Activity.RESULT_OK } ?: return
        pending[request]?.invoke(chosen)
    }

    private fun choose(intent: Intent, request: Int) {
        try {
            activity.startActivityForResult(intent, request)
        } catch (_: ActivityNotFoundException) {
            onMissing()
        }
    }

    private companion object {
        const val REQUEST_IMAGE = 2
        const val REQUEST_MODEL = 3
    }
}
